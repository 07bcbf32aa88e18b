//! The log of the queue: what became of its rows, kept for a while.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{MessageId, TenantId};
use uuid::Uuid;

use crate::error::AppResult;
use crate::page::{Page, PageRequest};
use crate::time::Stamp;

/// What happened to a row of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum QueueOutcome {
    /// It came in.
    Queued,
    /// It came in again: a person had a message sent once more.
    Retried,
    /// The channel took it.
    Sent,
    /// The channel refused it, and it waits for its next try.
    Refused,
    /// The request left and no answer came.
    InDoubt,
    /// No status settled the doubt: it is sent once more.
    Resent,
    /// A status told what became of it before the answer did.
    Settled,
    /// It will not be sent: a dead letter, which a person may send again.
    Dead,
    /// It was taken out, because its contact was erased or it was called off.
    Cancelled,
    /// Its time as a dead letter is over.
    Expired,
}

impl QueueOutcome {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Retried,
        Self::Sent,
        Self::Refused,
        Self::InDoubt,
        Self::Resent,
        Self::Settled,
        Self::Dead,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Retried => "retried",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
            Self::Resent => "resent",
            Self::Settled => "settled",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// What a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct QueueLogRow {
    /// When.
    pub at: Stamp,
    /// What.
    pub outcome: QueueOutcome,
    /// The message.
    pub message_id: Uuid,
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The line.
    pub phone_number_id: String,
    /// Tries so far.
    pub attempts: u32,
    /// How often a person had it sent again before.
    pub retries: u32,
    /// Milliseconds since it came in.
    pub waited_ms: u64,
    /// The channel's error code, when it refused.
    pub code: Option<i64>,
    /// How that error is handled: `transient`, `recipient`, `recipient_conditional`, `template`, `sender`, `request`.
    pub class: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// When it is tried again.
    pub next_try_at: Option<Stamp>,
}

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueLogFilter {
    /// Of this line.
    pub line: Option<String>,
    /// Of this message.
    pub message: Option<MessageId>,
    /// Of this kind.
    pub outcome: Option<QueueOutcome>,
    /// From here on, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Up to here, inclusive.
    pub to: Option<DateTime<Utc>>,
}

/// Reads the log of the queue.
#[async_trait]
pub trait QueueLog: Send + Sync {
    /// A page, the newest first.
    async fn page(&self, tenant: TenantId, filter: &QueueLogFilter, page: &PageRequest)
    -> AppResult<Page<QueueLogRow>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_as_it_is_written() {
        for outcome in QueueOutcome::ALL {
            assert_eq!(QueueOutcome::from_word(outcome.as_str()), Some(outcome));
        }
        assert_eq!(QueueOutcome::from_word("lost"), None);
    }
}
