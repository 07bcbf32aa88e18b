//! `GET,POST /api/leads`, `GET,PUT /api/leads/{phone}`.

use std::collections::HashMap;
use std::sync::Arc;

use application::leads::LeadFilter;
use application::leads::views::LeadView;
use domain::lead::command::LeadFacts;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use crate::app::App;
use crate::error::{Change, Create, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{Answer, Paged, lag, limit_default, page};
use crate::routes::body::Body;
use crate::routes::history::at;
use crate::routes::paths::{phone, phone_of};
use crate::security::may::{Leads, May};

/// A lead, as it is told.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct LeadRequest {
    /// Its phone, in international form.
    phone: String,
    /// Name, at most 200 characters.
    name: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// Where it came from; kept from the first time only.
    source: Option<String>,
    /// A word of the account's pipeline: 1 to 40 of `a-z 0-9 _ -`; `new` at first.
    status: Option<String>,
    /// Whatever else is known of it; `null` removes a field.
    fields: Option<HashMap<String, Value>>,
    /// Tags to add.
    tags: Option<Vec<String>>,
}

/// What is changed of a lead; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct LeadUpdate {
    /// Name, at most 200 characters.
    name: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// A word of the account's pipeline: 1 to 40 of `a-z 0-9 _ -`.
    status: Option<String>,
    /// Fields to set; `null` removes one.
    fields: Option<HashMap<String, Value>>,
    /// Tags to add.
    tags: Option<Vec<String>>,
    /// Tags to remove.
    remove_tags: Option<Vec<String>>,
}

impl From<LeadRequest> for LeadFacts {
    fn from(lead: LeadRequest) -> Self {
        Self {
            name: lead.name,
            profile_name: None,
            email: lead.email,
            source: lead.source,
            status: lead.status,
            fields: lead.fields.into_iter().flatten().collect(),
            add_tags: lead.tags.unwrap_or_default(),
            remove_tags: Vec::new(),
        }
    }
}

impl From<LeadUpdate> for LeadFacts {
    fn from(update: LeadUpdate) -> Self {
        Self {
            name: update.name,
            profile_name: None,
            email: update.email,
            source: None,
            status: update.status,
            fields: update.fields.into_iter().flatten().collect(),
            add_tags: update.tags.unwrap_or_default(),
            remove_tags: update.remove_tags.unwrap_or_default(),
        }
    }
}

#[derive(ApiResponse)]
enum Told {
    /// A new lead.
    #[oai(status = 201)]
    Captured(
        Json<LeadView>,
        /// `true` when reads may not show it for a moment; absent otherwise.
        #[oai(header = "Projection-Lag")]
        Option<bool>,
    ),
    /// A lead that was known, with what was added.
    #[oai(status = 200)]
    Known(
        Json<LeadView>,
        /// `true` when reads may not show the change for a moment; absent otherwise.
        #[oai(header = "Projection-Lag")]
        Option<bool>,
    ),
}

/// Leads.
pub struct LeadsApi;

#[OpenApi(prefix_path = "/leads", tag = "Group::Leads")]
impl LeadsApi {
    /// List leads
    ///
    /// The account's leads, newest first.
    #[oai(path = "/", method = "get", operation_id = "listLeads")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Leads>,
        request: &Request,
        /// In this status.
        #[oai(validator(max_length = 40))]
        status: Query<Option<String>>,
        /// Whose phone or name contains this.
        #[oai(validator(max_length = 200))]
        search: Query<Option<String>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<LeadView>>, Failure<List>> {
        let filter = LeadFilter { status: status.0, search: search.0 };
        Ok(Paged::of(app.leads.list(&caller.session, &filter, &page(*limit, cursor.as_deref())?).await?, request))
    }

    /// Tell of a lead
    ///
    /// Captures a lead (201), or adds to the one with this phone (200). The same facts twice change nothing.
    #[oai(path = "/", method = "post", operation_id = "tellLead")]
    async fn tell(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Leads>,
        body: Body<LeadRequest>,
    ) -> Result<Told, Failure<Create>> {
        let phone = phone(&body.phone)?;
        let (written, is_new) = app.leads.tell(&caller.session, phone, body.0.into()).await?;
        let (lead, lag) = (Json(written.view), lag(written.caught_up));
        Ok(if is_new { Told::Captured(lead, lag) } else { Told::Known(lead, lag) })
    }

    /// A lead
    ///
    /// By its phone; an encoded or bare `+` and a missing one are the same. With `at`, as it was then.
    #[oai(path = "/:phone", method = "get", operation_id = "getLead")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Leads>,
        #[oai(name = "phone")] of: Path<String>,
        /// As it was at this time or position.
        #[oai(name = "at")]
        then: Query<Option<String>>,
    ) -> Result<Json<LeadView>, Failure<Read>> {
        let phone = phone_of("lead", &of)?;
        Ok(Json(match at(then.as_deref())? {
            None => app.leads.get(&caller.session, &phone).await?,
            Some(at) => app.past.lead(&caller.session, &phone, &at).await?,
        }))
    }

    /// Change a lead
    ///
    /// Absent parts stay as they are. The lead must be known.
    #[oai(path = "/:phone", method = "put", operation_id = "updateLead")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Leads>,
        #[oai(name = "phone")] of: Path<String>,
        body: Body<LeadUpdate>,
    ) -> Result<Answer<LeadView>, Failure<Change>> {
        Ok(app.leads.change(&caller.session, &phone_of("lead", &of)?, body.0.into()).await?.into())
    }
}
