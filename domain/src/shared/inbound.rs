//! What a customer sent, as every channel tells it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

string_enum! {
    /// What kind of message a customer sent.
    InboundKind {
        Text = "text", Image = "image", Video = "video", Audio = "audio", Document = "document", Sticker = "sticker",
        Location = "location", Contacts = "contacts",
        /// A pressed reply button, a chosen list row, a template's quick reply.
        Choice = "choice",
        /// A finished WhatsApp Flow.
        Form = "form",
        Reaction = "reaction", Order = "order", Edit = "edit", Revoke = "revoke", System = "system",
        /// A kind the channel says it cannot deliver, or one we do not know yet: kept whole in `raw`.
        Unsupported = "unsupported",
    }
}

impl InboundKind {
    /// Whether this is the customer talking, so that it opens the service window and may answer a question.
    pub const fn is_speech(self) -> bool {
        match self {
            Self::Text
            | Self::Image
            | Self::Video
            | Self::Audio
            | Self::Document
            | Self::Sticker
            | Self::Location
            | Self::Contacts
            | Self::Choice
            | Self::Form
            | Self::Order
            | Self::Unsupported => true,
            Self::Reaction | Self::Edit | Self::Revoke | Self::System => false,
        }
    }
}

/// A button or row the customer chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The id the sender gave it.
    pub id: String,
    /// What the customer saw.
    pub title: String,
}

/// A media object at the channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundMedia {
    /// The channel's media id (WhatsApp: valid 7 days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A link, when the channel gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// File name, for documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Name of the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// One message of a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboundMessage {
    /// The channel's id (WhatsApp: the wamid). One effect per id, for ever.
    pub provider_message_id: String,
    /// What it is.
    pub kind: InboundKind,
    /// Its text, caption, chosen title or emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The chosen button or row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// The media object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<InboundMedia>,
    /// The place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The provider id of the message it answers, reacts to, edits or revokes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<String>,
    /// What else the channel said of it (order, contact cards, form answers, referral, errors, unknown kinds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
    /// When the customer sent it, by the channel's clock.
    pub sent_at: DateTime<Utc>,
}
