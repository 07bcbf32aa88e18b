//! Why a conversation refuses.

use crate::conversation::template_choice::TemplateWanted;
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{FlowId, UserId};

/// A rule of conversations that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversationError {
    /// No such conversation.
    #[error("there is no such conversation")]
    NotFound,
    /// The contact was erased; who writes from the same phone is another contact.
    #[error("the contact was erased")]
    ContactErased,
    /// More than 24 hours since the customer's last message: only a template may go out.
    #[error("the 24-hour window is closed: only an approved template can be sent")]
    WindowClosed,
    /// Somebody else has it.
    #[error("the conversation is claimed by {0}")]
    ClaimedByAnother(UserId),
    /// It changed hands since the caller looked.
    #[error("the conversation changed meanwhile: it is at version {0}")]
    Stale(u32),
    /// The message is not among those the conversation remembers.
    #[error("only the newest messages of a conversation can be sent again, and only those that were queued")]
    MessageForgotten,
    /// The message has not failed.
    #[error("the message is {0}: only a message that failed can be sent again")]
    MessageNotFailed(DeliveryStatus),
    /// Somebody else had the message sent again meanwhile.
    #[error("the message was sent again meanwhile")]
    MessageRetriedMeanwhile,
    /// It is closed.
    #[error("the conversation is closed")]
    Closed,
    /// It is claimed, so no flow starts in it.
    #[error("a person has claimed the conversation: no flow starts in it")]
    Claimed,
    /// The decision needs a graph that the command did not bring.
    #[error("version {version} of flow {flow_id} is needed")]
    GraphNeeded {
        /// The flow.
        flow_id: FlowId,
        /// The version.
        version: u32,
    },
    /// The decision needs a template that the command did not bring.
    #[error("a template is to be looked up")]
    TemplateNeeded(Box<TemplateWanted>),
    /// None of the templates asked for may be sent.
    #[error("no template can be sent: {0}")]
    TemplateUnavailable(String),
}
