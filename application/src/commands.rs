//! The port commands go through.

use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::ids::{BulkSendId, ConversationId, MessageId, StreamId};
use domain::shared::provider_error::ProviderError;
use uuid::Uuid;

use crate::actor::Cause;
use crate::log::Position;

/// What the key of a client's request refers to; such keys are forgotten after a week.
pub const REQUEST: &str = "request";

/// Something that may happen once: a provider's message id, a client's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What makes it unique inside the account.
    pub key: String,
    /// What it leads to, such as our message's id.
    pub reference: String,
}

impl Once {
    /// A customer's message.
    pub fn inbound(provider_message_id: &str) -> Self {
        Self { key: format!("in:{provider_message_id}"), reference: String::new() }
    }

    /// What a client's request does to one kind of aggregate; `mark` is the request's.
    pub fn request(mark: &str, aggregate_type: &str) -> Self {
        Self { key: format!("{mark}:{aggregate_type}"), reference: REQUEST.to_owned() }
    }

    /// A try of one of our messages, by the channel's id.
    pub fn outbound(provider_message_id: &str, message: MessageId, retry: u32) -> Self {
        Self { key: outbound_key(provider_message_id), reference: Try::numbered(&message.to_string(), retry) }
    }
}

/// One try of one of our messages. Each is its own message to the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// 0 for the first, else the number of the retry.
    pub retry: u32,
}

impl Try {
    /// What we send along with it to find it again.
    pub fn correlation(&self) -> String {
        Self::numbered(&format!("{}.{}", self.conversation, self.message), self.retry)
    }

    /// Reads what [`Try::correlation`] wrote.
    pub fn read(correlation: &str) -> Option<Self> {
        let (conversation, rest) = correlation.split_once('.')?;
        Self::of(conversation.parse().ok()?, rest)
    }

    /// Reads what a sent message's key refers to.
    pub fn of(conversation: ConversationId, reference: &str) -> Option<Self> {
        let (message, retry) = match reference.split_once('.') {
            Some((message, retry)) => (message, retry.parse().ok()?),
            None => (reference, 0),
        };
        Some(Self { conversation, message: message.parse().ok()?, retry })
    }

    /// The first try goes without a number, as all did before there were others.
    fn numbered(message: &str, retry: u32) -> String {
        if retry == 0 { message.to_owned() } else { format!("{message}.{retry}") }
    }
}

/// The key one of our messages is found by.
pub fn outbound_key(provider_message_id: &str) -> String {
    format!("out:{provider_message_id}")
}

/// What a command concludes: a message on its way out, or a recipient of a bulk send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclude {
    /// By who holds its lease; a lost lease refuses the command.
    Leased {
        /// The outbox row.
        id: i64,
        /// The lease.
        token: Uuid,
    },
    /// By who holds its lease, as a dead letter that a person may send again.
    Buried {
        /// The outbox row.
        id: i64,
        /// The lease.
        token: Uuid,
        /// Why.
        error: ProviderError,
    },
    /// By the message, whoever holds it: the channel told us what became of this try of it.
    Told {
        /// The message.
        message: MessageId,
        /// Which try.
        retry: u32,
    },
    /// A recipient of a bulk send, by who holds its lease, as handed over; a lost lease refuses the command.
    Recipient {
        /// The bulk send.
        bulk: BulkSendId,
        /// The recipient's number.
        number: i32,
        /// The lease.
        token: Uuid,
        /// Its message.
        message: MessageId,
    },
}

/// What one command brings along, written by the same statement as its events.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Keys that must be new; a known one makes the command [`CommandError::AlreadyDone`].
    pub once: Vec<Once>,
    /// Keys written when they are new, and left when not.
    pub mark: Vec<Once>,
    /// What is concluded.
    pub conclude: Option<Conclude>,
}

/// Why a command has no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error> {
    /// A rule refuses it.
    #[error(transparent)]
    Rule(E),
    /// The contact it is about was erased; who is behind the same phone now is another contact.
    #[error("the contact was erased")]
    ContactErased,
    /// One of its keys is known: it took effect before.
    #[error("it took effect before")]
    AlreadyDone,
    /// The lease it concludes was lost.
    #[error("its lease was lost")]
    LeaseLost,
    /// What it would take up is taken at that time.
    #[error("the resource is taken at that time")]
    Occupied,
    /// Others kept changing the stream.
    #[error("too many changes at once")]
    Contended,
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unavailable,
    /// Anything else.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How far the log got with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// The position of its last event; `None` when nothing had to happen.
    pub position: Option<Position>,
    /// The stream's last sequence.
    pub sequence: i64,
}

/// Runs commands against one kind of aggregate.
#[async_trait]
pub trait Commands<A: Aggregate>: Send + Sync {
    /// Decides and appends. A conflict with another writer reloads and decides again, at most five times.
    ///
    /// # Errors
    /// A rule refuses, it took effect before, or it could not be stored.
    async fn run(
        &self,
        stream: &StreamId,
        cause: &Cause,
        command: A::Command,
        along: Along,
    ) -> Result<Reached, CommandError<A::Error>>;

    /// As [`Commands::run`], with the events it led to: for callers who have to know what was decided.
    ///
    /// # Errors
    /// As [`Commands::run`].
    async fn tell(
        &self,
        stream: &StreamId,
        cause: &Cause,
        command: A::Command,
        along: Along,
    ) -> Result<(Reached, Vec<A::Event>), CommandError<A::Error>>;

    /// The aggregate as it stands.
    ///
    /// # Errors
    /// It could not be read.
    async fn load(&self, stream: &StreamId) -> Result<A, CommandError<A::Error>>;
}

/// Waits until read models know what a command did, so that its caller reads its own write.
#[async_trait]
pub trait CatchUp: Send + Sync {
    /// True when every named model is past `position`; false when the bound of 2 s was hit first.
    async fn wait(&self, models: &[&'static str], position: Position) -> bool;
}

/// Finds our message by the channel's id.
#[async_trait]
pub trait SentMessages: Send + Sync {
    /// Which try of which message has this id.
    ///
    /// # Errors
    /// It could not be read.
    async fn find(
        &self,
        tenant: domain::shared::ids::TenantId,
        provider_message_id: &str,
    ) -> Result<Option<Try>, crate::error::AppError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_is_found_again_by_what_went_along_with_it() {
        let of = |retry| Try {
            conversation: ConversationId(Uuid::from_u128(1)),
            message: MessageId(Uuid::from_u128(2)),
            retry,
        };
        for retry in [0, 1, 12] {
            assert_eq!(Try::read(&of(retry).correlation()), Some(of(retry)));
            let key = Once::outbound("wamid.x", of(retry).message, retry);
            assert_eq!(Try::of(of(retry).conversation, &key.reference), Some(of(retry)));
        }
        let first = format!("{}.{}", Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(of(0).correlation(), first, "as it was before there were retries");
        for strange in ["", "x", "a.b", &format!("{first}."), &format!("{first}.x"), &format!("{first}.1.2")] {
            assert_eq!(Try::read(strange), None, "{strange}");
        }
    }
}
