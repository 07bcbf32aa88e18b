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

impl ErrorClass {
    /// What an error of this class means for the message and for what else is sent.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Transient => "passing: the message is tried again by itself, with growing pauses, up to eight times",
            Self::Recipient => {
                "this customer cannot be reached, or does not want to be: the same message will fail again"
            }
            Self::RecipientConditional => {
                "this customer cannot be written to for now: outside the 24-hour window a template goes through, and a limit of the channel passes after a day"
            }
            Self::Template => "this template is refused whoever it is sent to, until it is changed or approved",
            Self::Sender => "the line or its account may not send: nothing goes out on the line until a person acts",
            Self::Request => "the message itself is wrong: as it is, it will fail again",
        }
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
