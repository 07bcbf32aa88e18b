//! Channels as the use cases see them: one port out, one shape in.

pub mod lines;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use domain::shared::delivery::DeliveryStatus;
use domain::shared::ids::TenantId;
use domain::shared::inbound::InboundMessage;
use domain::shared::phone::Phone;
use domain::shared::provider_error::ProviderError;
use serde_json::Value;

use crate::error::AppResult;
use crate::templates::hear::TemplateNews;

/// A sending line with the credential to use it.
#[derive(Clone)]
pub struct Line {
    /// The account it belongs to.
    pub tenant: TenantId,
    /// Meta's id of the number; what webhooks are routed by.
    pub phone_number_id: String,
    /// The access token, opened; never logged, never returned.
    pub access_token: String,
    /// Messages a second (80 by default, 20 in coexistence, at most 1 000; Meta, throughput).
    pub messages_per_second: u32,
    /// Whether Meta's pair limit is kept: one message in six seconds to one customer, 45 at once.
    pub pair_limit: bool,
}

/// What the channel answered when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id of the message.
    pub provider_message_id: String,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The channel said no.
    Refused {
        /// Its error, classed.
        error: ProviderError,
        /// How long it asked us to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// The request never left: safe to send again.
    NotSent(String),
    /// The request left and no answer came: it may have taken effect.
    InDoubt(String),
}

/// A channel that messages go out on.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends one message. `correlation` comes back in status webhooks (WhatsApp: `biz_opaque_callback_data`).
    ///
    /// # Errors
    /// Refused, certainly not sent, or in doubt.
    async fn send(
        &self,
        line: &Line,
        to: &Address,
        content: &OutboundContent,
        correlation: &str,
    ) -> Result<Accepted, SendError>;

    /// Marks a customer's message as read and, on request, shows the typing indicator (at most 25 s).
    ///
    /// # Errors
    /// As [`Channel::send`].
    async fn mark_read(&self, line: &Line, provider_message_id: &str, typing: bool) -> Result<(), SendError>;
}

/// Who sent an inbound message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sender {
    /// Phone and/or business-scoped id.
    pub address: Address,
    /// The profile name.
    pub name: Option<String>,
}

/// A status of one of our messages.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusNews {
    /// The channel's id of the message.
    pub provider_message_id: String,
    /// How far it came.
    pub status: DeliveryStatus,
    /// By the channel's clock.
    pub at: DateTime<Utc>,
    /// What we sent along with the message (`biz_opaque_callback_data`).
    pub correlation: Option<String>,
    /// Why it failed.
    pub error: Option<ProviderError>,
}

/// One element of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum InboundItem {
    /// A customer's message.
    Message {
        /// The line it came in on.
        phone_number_id: String,
        /// Who wrote.
        sender: Sender,
        /// What.
        message: InboundMessage,
    },
    /// A status of one of our messages.
    Status {
        /// The line it went out on.
        phone_number_id: String,
        /// The news.
        news: StatusNews,
    },
    /// A contact is known by a new identifier from now on.
    AddressChanged {
        /// The line that told us.
        phone_number_id: String,
        /// How the contact was known.
        from: Address,
        /// How it is known now.
        to: Address,
    },
    /// A customer wants the business's marketing, or does not any more.
    Preference {
        /// The line that told us.
        phone_number_id: String,
        /// The customer.
        phone: Phone,
        /// Whether they do.
        wants_marketing: bool,
        /// Since when, by the channel's clock.
        at: DateTime<Utc>,
    },
    /// News of a template.
    Template(TemplateNews),
    /// Not for the message path: kept, with the reason.
    Parked {
        /// The line, where one is named.
        phone_number_id: Option<String>,
        /// Why.
        reason: String,
        /// The element itself.
        element: Value,
    },
}

/// Why a webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Intake {
    /// The signature is missing or belongs to other bytes.
    #[error("the signature does not fit the body")]
    BadSignature,
    /// It is larger than any webhook.
    #[error("the webhook is too large")]
    TooLarge,
    /// It could not be stored; the provider sends it again.
    #[error("the webhook cannot be stored; send it again")]
    Unavailable,
}

/// Takes a provider's webhooks: stored first, understood later.
#[async_trait]
pub trait WebhookIntake: Send + Sync {
    /// Whether the provider may register us with this verify token.
    ///
    /// # Errors
    /// It cannot be read.
    async fn handshake(&self, verify_token: &str) -> AppResult<bool>;

    /// Stores a webhook exactly as it came.
    ///
    /// # Errors
    /// It is not genuine, too large, or cannot be stored.
    async fn accept(&self, body: &[u8], signature: Option<&str>) -> Result<(), Intake>;
}
