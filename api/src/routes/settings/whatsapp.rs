//! `GET,POST /api/settings/whatsapp`.

use std::sync::Arc;

use application::channels::lines::{LineView, NewLine};
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{Change, Failure, List};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::security::may::{May, Settings};

/// A WhatsApp line to be saved.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct LineRequest {
    /// Meta's id of the number.
    phone_number_id: String,
    /// The WhatsApp Business Account it belongs to.
    waba_id: String,
    /// The access token; absent keeps the one that is there.
    access_token: Option<String>,
    /// The number as people see it.
    #[oai(default, validator(max_length = 40))]
    display_phone_number: String,
    /// The app secret that signs this line's webhooks; absent uses the installation's.
    #[oai(validator(max_length = 200))]
    app_secret: Option<String>,
    /// The verify token of this line's webhook handshake; absent uses the installation's.
    #[oai(validator(max_length = 200))]
    verify_token: Option<String>,
    /// Whether it is the line used when none is named; the first line always is.
    #[oai(default)]
    is_primary: bool,
    /// Whether the number is also used in the WhatsApp Business app.
    #[oai(default)]
    coexistence: bool,
    /// Messages a second, 1 to 1000; when absent 80, 20 in coexistence, 1000 in the sandbox.
    messages_per_second: Option<u32>,
    /// Whether to keep Meta's pair limit: one message in six seconds to one customer, 45 at once. False only against
    /// a stand-in that has no such limit.
    #[oai(default = "yes")]
    pair_limit: bool,
}

fn yes() -> bool {
    true
}

impl From<LineRequest> for NewLine {
    fn from(line: LineRequest) -> Self {
        Self {
            phone_number_id: line.phone_number_id,
            waba_id: line.waba_id,
            access_token: line.access_token,
            display_phone_number: line.display_phone_number,
            app_secret: line.app_secret,
            verify_token: line.verify_token,
            is_primary: line.is_primary,
            coexistence: line.coexistence,
            messages_per_second: line.messages_per_second,
            pair_limit: line.pair_limit,
        }
    }
}

/// WhatsApp lines.
pub struct WhatsappLines;

#[OpenApi(prefix_path = "/settings/whatsapp", tag = "Group::Settings")]
impl WhatsappLines {
    /// The WhatsApp lines
    ///
    /// The account's lines, the primary one first. Tokens and secrets are never shown.
    #[oai(path = "/", method = "get", operation_id = "listWhatsappLines")]
    async fn list(&self, app: Data<&Arc<App>>, caller: May<Settings>) -> Result<Json<Vec<LineView>>, Failure<List>> {
        Ok(Json(app.lines.list(&caller.session).await?))
    }

    /// Save a WhatsApp line
    ///
    /// Adds a line, or changes the one with this `phoneNumberId`. Saving lifts a stop. A number that belongs
    /// to another account is a conflict.
    #[oai(path = "/", method = "post", operation_id = "saveWhatsappLine")]
    async fn save(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Settings>,
        body: Body<LineRequest>,
    ) -> Result<Json<LineView>, Failure<Change>> {
        Ok(Json(app.lines.save(&caller.session, body.0.into()).await?))
    }
}
