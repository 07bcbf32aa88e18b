//! `GET,POST /api/templates/check-sent`.

use std::sync::Arc;

use application::templates::check_sent::{HOURS_DEFAULT, SentQuestion, SentReport};
use domain::flow::validation::Problem;
use domain::shared::phone::Phone;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, Ask, Failure, List};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::{no_phone, phone};
use crate::security::may::{May, Templates};

/// Whom to look for.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct CheckRequest {
    /// Phones in international form.
    #[oai(validator(min_items = 1, max_items = 10_000))]
    phones: Vec<String>,
    /// This template alone, by its name.
    #[oai(validator(min_length = 1, max_length = 512))]
    template_name: Option<String>,
    /// How many hours to look back.
    #[oai(default = "hours_default", validator(minimum(value = "1"), maximum(value = "2160")))]
    hours: u32,
}

const fn hours_default() -> u32 {
    HOURS_DEFAULT
}

/// What was sent.
pub struct CheckSentApi;

#[OpenApi(prefix_path = "/templates/check-sent", tag = "Group::Templates")]
impl CheckSentApi {
    /// Check what was sent, for some phones
    ///
    /// Whether each phone was sent a template within the last `hours`: by which one, when, and where that message stands.
    /// A template that failed does not count as sent; it is shown when nothing else was. For more phones than a query
    /// holds there is the POST.
    #[oai(path = "/", method = "get", operation_id = "checkSent")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// Phones in international form, with commas between them.
        #[oai(validator(max_length = 4_000))]
        phones: Query<Option<String>>,
        /// This template alone, by its name.
        #[oai(name = "templateName", validator(min_length = 1, max_length = 512))]
        template_name: Query<Option<String>>,
        /// How many hours to look back.
        #[oai(default = "hours_default", validator(minimum(value = "1"), maximum(value = "2160")))]
        hours: Query<u32>,
    ) -> Result<Json<SentReport>, Failure<List>> {
        let listed = phones.0.unwrap_or_default();
        let listed = listed.split(',').filter(|phone| !phone.trim().is_empty());
        let question = SentQuestion { phones: read(listed)?, template_name: template_name.0, hours: hours.0 };
        Ok(Json(app.template_care.check_sent(&caller.session, question).await?))
    }

    /// Check what was sent
    ///
    /// Whether each phone was sent a template within the last `hours`: by which one, when, and where that message stands.
    /// A template that failed does not count as sent; it is shown when nothing else was. Up to 10 000 phones; each is
    /// answered once, in its international form.
    #[oai(path = "/", method = "post", operation_id = "checkManySent")]
    async fn post(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<CheckRequest>,
    ) -> Result<Json<SentReport>, Failure<Ask>> {
        let CheckRequest { phones, template_name, hours } = body.0;
        let question = SentQuestion { phones: read(phones.iter().map(String::as_str))?, template_name, hours };
        Ok(Json(app.template_care.check_sent(&caller.session, question).await?))
    }
}

/// The phones; all that are none are told.
fn read<'a>(listed: impl Iterator<Item = &'a str>) -> Result<Vec<Phone>, ApiError> {
    let (mut phones, mut problems) = (Vec::new(), Vec::new());
    for (at, text) in listed.enumerate() {
        match phone(text) {
            Ok(phone) => phones.push(phone),
            Err(_) => problems.push(Problem::of_field(format!("phones[{at}]"), no_phone(text))),
        }
    }
    if problems.is_empty() {
        return Ok(phones);
    }
    let mut refusal = ApiError::invalid("phone_invalid", format!("{} of the phones are none", problems.len()));
    refusal.body.problems = Some(problems);
    Err(refusal)
}
