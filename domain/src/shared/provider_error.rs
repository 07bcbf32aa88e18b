//! What a channel said when it refused a message, and the class that decides what happens next.

use serde::{Deserialize, Serialize};

string_enum! {
    /// How an error of a channel is handled (WhatsApp: classes A to F over Meta's error codes).
    ErrorClass {
        /// A: try again later.
        Transient = "transient",
        /// B: this recipient, for good.
        Recipient = "recipient",
        /// C: this recipient, for now (window closed, marketing limit).
        RecipientConditional = "recipient_conditional",
        /// D: this template, for everyone.
        Template = "template",
        /// E: this line or account; nothing goes out until a person acts.
        Sender = "sender",
        /// F: the request itself is wrong.
        Request = "request",
    }
}

/// An error of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderError {
    /// The channel's code, such as 131047.
    pub code: i64,
    /// How it is handled.
    pub class: ErrorClass,
    /// The channel's short text.
    pub title: String,
    /// The channel's details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}
