//! `POST /api/conversations/{id}/reply`.

pub mod content;

use std::sync::Arc;

use application::page::PageRequest;
use domain::shared::ids::ConversationId;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{Change, Failure};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::conversations::reply::content::ReplyRequest;
use crate::routes::paths::Id;
use crate::security::may::{Inbox, May};

/// A message on its way.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Replied {
    /// Always true.
    success: bool,
    /// The channel's id of the message, such as a wamid; ours while the channel has not answered.
    message_id: String,
    /// Whether anything but a template may be sent now.
    window_open: bool,
}

/// Replies by people.
pub struct Replies;

#[OpenApi(prefix_path = "/conversations", tag = "Group::Conversations")]
impl Replies {
    /// Send a message to the customer
    ///
    /// Text, media, a template, a place, contact cards, a reaction, buttons or a list. The answer comes when
    /// the channel took the message, at the latest after 10 s. Outside the 24-hour window anything but a
    /// template is refused (409 with `windowOpen: false`), and nothing is sent.
    #[oai(path = "/:id/reply", method = "post", operation_id = "replyToConversation")]
    async fn reply(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Inbox>,
        id: Path<Id>,
        body: Body<ReplyRequest>,
    ) -> Result<Json<Replied>, Failure<Change>> {
        let id = ConversationId(id.0.0);
        let message = app.conversations.reply(&caller.session, id, body.0.content()?).await?;
        let window = app.conversations.get(&caller.session, id, &PageRequest { limit: 1, after: None }).await?;
        let message_id = message.provider_message_id.unwrap_or_else(|| message.id.to_string());
        Ok(Json(Replied { success: true, message_id, window_open: window.window_open }))
    }
}
