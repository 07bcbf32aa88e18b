//! What became of messages we sent, for systems that had them sent.

use std::sync::Arc;

use async_trait::async_trait;
use domain::shared::ids::{ConversationId, MessageId, TenantId};
use domain::shared::phone::Phone;
use uuid::Uuid;

use crate::actor::Session;
use crate::commands::SentMessages;
use crate::conversations::message_view::{MessageError, StatusTimes};
use crate::conversations::ports::Pause;
use crate::error::{AppError, AppResult};
use crate::monitoring::views::QueueState;
use crate::time::Stamp;

/// How long somebody may wait for news, in seconds.
pub const WAIT_SEC_MAX: u32 = 20;
/// How often news are looked for, in milliseconds.
const LOOK_MS: u64 = 200;

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// This one.
    Message(MessageId),
    /// The one the channel calls so.
    Provider(String),
    /// Those of a conversation.
    Conversation(ConversationId),
    /// Those to a phone.
    Phone(Phone),
}

/// Where a message stands in our queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct QueuePlace {
    /// What it is at.
    pub state: QueueState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, or decided on.
    pub next_at: Option<Stamp>,
}

/// What is known of a message we sent.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct OutboundStatus {
    /// The message.
    pub message_id: Uuid,
    /// The conversation.
    pub conversation_id: Uuid,
    /// To whom.
    pub phone: Option<String>,
    /// The line it goes out on.
    pub phone_number_id: String,
    /// `text`, `template`, `image`, …
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub kind: String,
    /// The template, when it is one.
    pub template_name: Option<String>,
    /// `queued`, `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// Whether nothing but `read` may follow: it is `delivered`, `read` or `failed`.
    pub settled: bool,
    /// When it reached each status.
    pub status_at: StatusTimes,
    /// The channel's id of it, such as a wamid.
    pub provider_message_id: Option<String>,
    /// `flow`, `user` or `system`.
    pub author: String,
    /// The run that wrote it.
    pub run_id: Option<Uuid>,
    /// Why it failed.
    pub error: Option<MessageError>,
    /// True when it may have gone out twice: the first try stayed in doubt.
    pub possible_duplicate: bool,
    /// Where it stands in our queue; absent once it left it.
    pub queue: Option<QueuePlace>,
}

/// Finds messages we sent.
#[async_trait]
pub trait OutboundReader: Send + Sync {
    /// They, the newest first. Those the channel calls something are found by [`SentMessages`].
    async fn find(&self, tenant: TenantId, whose: &Whose, limit: u32) -> AppResult<Vec<OutboundStatus>>;
}

/// Tells what became of messages.
pub struct OutboundStatuses {
    /// Where they are.
    pub reader: Arc<dyn OutboundReader>,
    /// By the channel's id.
    pub sent: Arc<dyn SentMessages>,
    /// Between two looks.
    pub pause: Arc<dyn Pause>,
}

impl OutboundStatuses {
    /// What is known of them, the newest first. For one message, waits for it to be settled when that is asked for.
    ///
    /// # Errors
    /// There is no such message, or nothing was ever sent there.
    pub async fn of(
        &self,
        session: &Session,
        whose: Whose,
        limit: u32,
        wait_sec: u32,
    ) -> AppResult<Vec<OutboundStatus>> {
        let whose = self.by_our_id(session.tenant, whose).await?;
        let mut looks = u64::from(wait_sec) * 1_000 / LOOK_MS;
        loop {
            let found = self.reader.find(session.tenant, &whose, limit).await?;
            let waits = matches!(whose, Whose::Message(_)) && found.iter().any(|it| !it.settled);
            if found.is_empty() {
                return Err(AppError::NotFound("message"));
            }
            if !waits || looks == 0 {
                return Ok(found);
            }
            looks -= 1;
            self.pause.pause(LOOK_MS).await;
        }
    }

    async fn by_our_id(&self, tenant: TenantId, whose: Whose) -> AppResult<Whose> {
        let Whose::Provider(id) = whose else { return Ok(whose) };
        let found = self.sent.find(tenant, &id).await?.ok_or(AppError::NotFound("message"))?;
        Ok(Whose::Message(found.message))
    }
}
