//! What bulk sends need from outside.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{BulkSendId, TenantId};
use domain::shared::phone::Phone;

use crate::actor::Session;
use crate::bulk::Plan;
use crate::bulk::views::{BulkSendView, RecipientFilter, RecipientView, SkippedView};
use crate::conversations::ports::LineFacts;
use crate::error::AppResult;
use crate::page::{Page, PageRequest};

/// Somebody who is to be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The phone.
    pub phone: Phone,
    /// Body parameters of this one.
    pub params: Option<Vec<String>>,
}

/// Keeps bulk sends.
#[async_trait]
pub trait BulkStore: Send + Sync {
    /// Keeps one with everybody it is for, and starts it. Who is passed over: who got one of these templates within a
    /// day, unless the plan says to force it, and who opted out.
    async fn create(
        &self,
        session: &Session,
        id: BulkSendId,
        line: &LineFacts,
        plan: &Plan,
        templates: &[String],
        recipients: &[Queued],
    ) -> AppResult<Vec<SkippedView>>;
    /// One, or the newest 50; fewer once 100 000 recipients are counted among them.
    async fn list(&self, tenant: TenantId, id: Option<BulkSendId>) -> AppResult<Vec<BulkSendView>>;
    /// A page of its recipients.
    async fn recipients(
        &self,
        tenant: TenantId,
        id: BulkSendId,
        filter: RecipientFilter,
        page: &PageRequest,
    ) -> AppResult<Page<RecipientView>>;
    /// Stops it; whoever still waits is skipped.
    async fn cancel(&self, session: &Session, id: BulkSendId) -> AppResult<()>;
}

/// Who wants no messages of many.
#[async_trait]
pub trait OptOuts: Send + Sync {
    /// Remembers that somebody does not, or does again; what is older than what is known changes nothing.
    async fn set(&self, tenant: TenantId, phone: &Phone, source: &str, out: bool, at: DateTime<Utc>) -> AppResult<()>;
}
