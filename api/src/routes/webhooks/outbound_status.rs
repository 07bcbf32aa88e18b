//! `POST /api/webhook/outbound-status`.

use std::sync::Arc;

use application::conversations::outbound_status::{OutboundStatus, Whose};
use domain::shared::ids::{ConversationId, MessageId};
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, Failure, Question};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::phone;
use crate::security::may::{May, Outbound};

/// Which messages; exactly one of the four that name them.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct StatusRequest {
    /// One message, by our id.
    message_id: Option<Uuid>,
    /// One message, by the channel's id, such as a wamid.
    #[oai(validator(min_length = 1, max_length = 512))]
    provider_message_id: Option<String>,
    /// The messages of a conversation.
    conversation_id: Option<Uuid>,
    /// The messages to a phone, in international form.
    phone: Option<String>,
    /// How many, the newest first.
    #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
    limit: u32,
    /// For one message: seconds to wait until it is delivered, read or failed.
    #[oai(default, validator(maximum(value = "20")))]
    wait_sec: u32,
}

const fn limit_default() -> u32 {
    1
}

impl StatusRequest {
    fn whose(&self) -> Result<Whose, ApiError> {
        let message = self.message_id.map(|id| Whose::Message(MessageId(id)));
        let provider = self.provider_message_id.clone().map(Whose::Provider);
        let conversation = self.conversation_id.map(|id| Whose::Conversation(ConversationId(id)));
        let phone = self.phone.as_deref().map(phone).transpose()?.map(Whose::Phone);
        let mut named = [message, provider, conversation, phone].into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(whose), None) => Ok(whose),
            _ => {
                let words = "name one of `messageId`, `providerMessageId`, `conversationId` and `phone`";
                Err(ApiError::invalid("invalid_request", words))
            }
        }
    }
}

/// What is known of messages.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct StatusReport {
    /// Always true.
    success: bool,
    /// The messages, the newest first.
    messages: Vec<OutboundStatus>,
}

/// What became of messages.
pub struct OutboundStatusApi;

#[OpenApi(prefix_path = "/webhook/outbound-status", tag = "Group::Webhooks")]
impl OutboundStatusApi {
    /// Ask what became of a message
    ///
    /// For systems that start flows and want to know whether their message arrived: the status with every step's time,
    /// the channel's id, why it failed, and where it stands in our queue. Of a conversation or a phone it tells the
    /// newest messages we sent. With `waitSec` the answer comes once one message is settled, or when the time is over.
    #[oai(path = "/", method = "post", operation_id = "getOutboundStatus")]
    async fn ask(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Outbound>,
        body: Body<StatusRequest>,
    ) -> Result<Json<StatusReport>, Failure<Question>> {
        let (whose, limit, wait_sec) = (body.whose()?, body.limit, body.wait_sec);
        let messages = app.outbound_status.of(&caller.session, whose, limit, wait_sec).await?;
        Ok(Json(StatusReport { success: true, messages }))
    }
}
