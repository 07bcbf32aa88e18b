//! What the conversation use cases need from outside.

use async_trait::async_trait;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, ConversationId, MessageId, TenantId};
use uuid::Uuid;

use crate::conversations::message_view::MessageView;
use crate::conversations::views::ConversationView;
use crate::error::AppResult;
use crate::page::{Page, PageRequest};

/// Which conversations are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationFilter {
    /// In this status.
    pub status: Option<String>,
    /// With this phone, in E.164.
    pub phone: Option<String>,
    /// In which this flow ran last.
    pub flow_id: Option<Uuid>,
    /// Claimed by this person.
    pub claimed_by: Option<Uuid>,
    /// Whose name, phone or last message contains this.
    pub search: Option<String>,
}

/// Reads conversations.
#[async_trait]
pub trait ConversationReader: Send + Sync {
    /// The account's conversations, the liveliest first.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &ConversationFilter,
        page: &PageRequest,
    ) -> AppResult<Page<ConversationView>>;
    /// How many stand in each status.
    async fn counts(&self, tenant: TenantId) -> AppResult<Vec<(String, u64)>>;
    /// One conversation.
    async fn get(&self, tenant: TenantId, id: ConversationId) -> AppResult<Option<ConversationView>>;
    /// A page of its messages: the newest first page, each page oldest first.
    async fn messages(&self, tenant: TenantId, id: ConversationId, page: &PageRequest) -> AppResult<Page<MessageView>>;
    /// One message.
    async fn message(&self, tenant: TenantId, id: MessageId) -> AppResult<Option<MessageView>>;
    /// The first message a run queued.
    async fn first_of_run(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        run: Uuid,
    ) -> AppResult<Option<MessageView>>;
}

/// Who is behind an address.
#[async_trait]
pub trait Contacts: Send + Sync {
    /// The contact with any of these identifiers; a new one when none is known. Learns the others.
    async fn resolve(&self, tenant: TenantId, channel: Channel, address: &Address) -> AppResult<ContactId>;
    /// Forgets what this node remembers of an address: its contact was erased elsewhere.
    fn forget(&self, tenant: TenantId, channel: Channel, address: &Address);
    /// `to` reaches whoever `from` reached.
    async fn link(&self, tenant: TenantId, channel: Channel, from: &Address, to: &Address) -> AppResult<ContactId>;
}

/// What is known of a line without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFacts {
    /// The account.
    pub tenant: TenantId,
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp Business Account it belongs to.
    pub waba_id: String,
    /// The account's time zone.
    pub timezone: chrono_tz::Tz,
}

/// Finds lines.
#[async_trait]
pub trait LineDirectory: Send + Sync {
    /// The line a webhook names.
    async fn find(&self, phone_number_id: &str) -> AppResult<Option<LineFacts>>;
    /// The line an account sends on: the one asked for, else the primary one.
    async fn choose(&self, tenant: TenantId, wanted: Option<&str>) -> AppResult<Option<LineFacts>>;
}

/// A pause that is not a test's: waiting for a send to come back.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Waits this long.
    async fn pause(&self, milliseconds: u64);
}
