//! What happened, as it was recorded: a stream's events, and the account's log across streams.

pub mod at;

use std::sync::Arc;

use async_trait::async_trait;
use domain::shared::ids::{StreamId, TenantId};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::{AppError, AppResult};
use crate::history::at::At;
use crate::log::Position;
use crate::page::{Cursor, Page, PageRequest};
use crate::time::Stamp;

/// What may have a history.
const AGGREGATES: [&str; 6] = ["conversation", "flow", "lead", "template", "template_group", "appointment"];
/// Events a walk reads at a time; fewer when they are large.
pub const WALK_PAGE: u32 = 2_000;

/// An event as an auditor sees it. `version` and `payload` are as they were recorded, never brought to a later shape:
/// a history says what was written. What folds events reads former shapes as today's.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The aggregate's type.
    pub aggregate: String,
    /// The stream's id, without the account.
    pub id: String,
    /// Its number in the stream, from 1.
    pub sequence: i64,
    /// Where it stands in the log.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
    /// Its own id.
    pub event_id: Uuid,
    /// What kind of thing happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its shape.
    pub version: String,
    /// When the log took it in.
    pub at: Stamp,
    /// Who asked.
    pub actor: Option<String>,
    /// Shared by everything one request or webhook led to.
    pub correlation_id: Option<String>,
    /// The one thing that directly led here.
    pub causation_id: Option<String>,
    /// What happened; what is left of it when the contact was erased.
    pub payload: Box<RawValue>,
    /// Whether the contact was erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Why what it says of a person cannot be read, though the contact was not erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<&'static str>,
}

fn as_text<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything of an account, in the order of the log.
    Log(TenantId),
    /// One stream.
    Stream {
        /// The aggregate's type.
        aggregate: &'static str,
        /// The stream.
        stream: StreamId,
    },
}

impl Scope {
    /// One stream of an account.
    ///
    /// # Errors
    /// There are no such aggregates.
    pub fn stream(aggregate: &str, stream: StreamId) -> AppResult<Self> {
        let known = AGGREGATES.into_iter().find(|known| *known == aggregate);
        Ok(Self::Stream { aggregate: known.ok_or(AppError::NotFound("aggregate"))?, stream })
    }

    /// Every stream this may be the id of, whatever its aggregate.
    pub fn all_of(stream: &StreamId) -> impl Iterator<Item = Self> {
        AGGREGATES.into_iter().map(|aggregate| Self::Stream { aggregate, stream: stream.clone() })
    }
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryFilter {
    /// Of one of these types; empty for all.
    pub types: Vec<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// From here on, inclusive.
    pub from: Option<At>,
    /// Up to here, inclusive.
    pub to: Option<At>,
    /// The newest first.
    pub newest_first: bool,
}

/// A place in a history. A stream is read by sequence, the log by position; within a stream both say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where in the log.
    pub position: Position,
    /// Where in the stream.
    pub sequence: i64,
}

impl Place {
    fn cursor(&self) -> Cursor {
        Cursor { sort: self.position.to_string(), key: self.sequence.to_string() }
    }

    fn of(cursor: &Cursor) -> AppResult<Self> {
        match (cursor.sort.parse(), cursor.key.parse()) {
            (Ok(position), Ok(sequence)) => Ok(Self { position, sequence }),
            _ => Err(AppError::not_our_cursor()),
        }
    }
}

/// A part of a history, in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Exclusive.
    pub after: Option<Place>,
    /// Inclusive; only when the oldest comes first.
    pub until: Option<Place>,
}

/// Opens events as they lie in the log. It takes a processor's time and nothing else: where it is done is for those
/// to say who read on meanwhile.
pub type Opening = Box<dyn FnOnce() -> AppResult<Vec<HistoryEntry>> + Send>;

/// Events as a reader found them.
pub struct Batch {
    /// The events.
    pub entries: Opening,
    /// The last one's place; `None` when there are no events.
    pub last: Option<Place>,
    /// Whether there are more in the span.
    pub more: bool,
}

/// Reads histories.
#[async_trait]
pub trait HistoryReader: Send + Sync {
    /// The newest event; nothing can appear before it any more.
    async fn end(&self, scope: &Scope) -> AppResult<Option<Place>>;
    /// The first events of a span: up to `limit`, fewer when they are large, one at least.
    async fn read(&self, scope: &Scope, filter: &HistoryFilter, span: Span, limit: u32) -> AppResult<Batch>;
}

/// The histories of accounts.
pub struct History {
    /// Where they come from.
    pub reader: Arc<dyn HistoryReader>,
}

impl History {
    /// A page.
    ///
    /// # Errors
    /// The stream has no events, or the cursor is none of ours.
    pub async fn page(
        &self,
        scope: &Scope,
        filter: &HistoryFilter,
        page: &PageRequest,
    ) -> AppResult<Page<HistoryEntry>> {
        let span = Span { after: page.after.as_ref().map(Place::of).transpose()?, until: None };
        let batch = self.reader.read(scope, filter, span, page.limit).await?;
        if batch.last.is_none() {
            self.end(scope).await?;
        }
        let next = batch.last.filter(|_| batch.more).map(|last| last.cursor());
        Ok(Page { rows: (batch.entries)()?, next, total: None })
    }

    /// All of it from the cursor on, as it is when the walk begins.
    ///
    /// # Errors
    /// As [`History::page`].
    pub async fn walk(&self, scope: Scope, filter: HistoryFilter, after: Option<&Cursor>) -> AppResult<Walk> {
        let after = after.map(Place::of).transpose()?;
        let end = self.end(&scope).await?;
        // Going back in time, nothing new comes in the way.
        let span = Span { after, until: end.filter(|_| !filter.newest_first) };
        Ok(Walk { reader: Arc::clone(&self.reader), scope, filter, span, more: end.is_some() })
    }

    /// Where it ends. An account's log may be empty, a stream never is.
    async fn end(&self, scope: &Scope) -> AppResult<Option<Place>> {
        match (self.reader.end(scope).await?, scope) {
            (None, Scope::Stream { aggregate, .. }) => Err(AppError::NotFound(aggregate)),
            (end, Scope::Stream { .. } | Scope::Log(_)) => Ok(end),
        }
    }
}

/// A history on its way, part by part.
pub struct Walk {
    reader: Arc<dyn HistoryReader>,
    scope: Scope,
    filter: HistoryFilter,
    span: Span,
    more: bool,
}

impl Walk {
    /// The next events, to be opened; `None` at the end.
    ///
    /// # Errors
    /// They cannot be read; the walk may be tried again from here.
    pub async fn next(&mut self) -> AppResult<Option<Opening>> {
        if !self.more {
            return Ok(None);
        }
        let batch = self.reader.read(&self.scope, &self.filter, self.span, WALK_PAGE).await?;
        self.span.after = batch.last.or(self.span.after);
        self.more = batch.more;
        Ok(Some(batch.entries))
    }
}
