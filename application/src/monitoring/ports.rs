//! What the monitor needs from outside.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::conversation::event::ConversationEvent;
use domain::shared::ids::{ConversationId, MessageId, TenantId};

use crate::error::AppResult;
use crate::history::HistoryEntry;
use crate::log::Recorded;
use crate::monitoring::views::{DeliveryList, DeliveryRow, LineHealth, QueueRow};
use crate::page::{Page, PageRequest};

/// The instants a look at deliveries goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Now.
    pub now: DateTime<Utc>,
    /// What was queued before is stale when it still waits.
    pub stale_before: DateTime<Utc>,
    /// What was queued since is counted.
    pub counted_since: DateTime<Utc>,
}

/// Where one of our messages is.
#[derive(Debug, Clone, PartialEq)]
pub struct Whereabouts {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its line.
    pub line: String,
    /// Its row of the queue, while there is one.
    pub row: Option<QueueRow>,
}

/// All that was recorded of one message.
#[derive(Debug, Clone, Default)]
pub struct MessageHistory {
    /// As an auditor sees it.
    pub entries: Vec<HistoryEntry>,
    /// As it is folded.
    pub events: Vec<Recorded<ConversationEvent>>,
}

/// Dead letters that may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// Those that were passed over the longest.
    pub messages: Vec<MessageId>,
    /// All there are.
    pub total: u64,
}

/// Reads how deliveries stand.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// The account's lines with their queues, the primary one first.
    async fn lines(&self, tenant: TenantId, bounds: &Bounds) -> AppResult<Vec<LineHealth>>;
    /// A page of messages, the newest first.
    async fn page(
        &self,
        tenant: TenantId,
        list: DeliveryList,
        bounds: &Bounds,
        page: &PageRequest,
    ) -> AppResult<Page<DeliveryRow>>;
    /// Where one of the account's outbound messages is.
    async fn find(&self, tenant: TenantId, message: MessageId) -> AppResult<Option<Whereabouts>>;
    /// What was recorded of it, in order.
    async fn history(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        message: MessageId,
    ) -> AppResult<MessageHistory>;
    /// The first dead letters of a line, or of the account.
    async fn dead(&self, tenant: TenantId, line: Option<&str>, limit: u32) -> AppResult<DeadLetters>;
    /// These dead letters were asked for and refused: others come first next time.
    async fn passed_over(&self, tenant: TenantId, messages: &[MessageId]) -> AppResult<()>;
}
