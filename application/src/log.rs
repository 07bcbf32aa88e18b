//! Events as the log holds them, and read models as folds over them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use domain::shared::nulls::without_nulls;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A place in the log. The order of the whole tuple is the order of the log; clients see it as an opaque token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Raised when a log is adopted by another cluster.
    pub epoch: i16,
    /// The transaction that wrote the event.
    pub transaction: u64,
    /// Its number inside the cluster.
    pub number: i64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.epoch, self.transaction, self.number)
    }
}

impl std::str::FromStr for Position {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("`{text}` is no position");
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(bad);
        let (epoch, transaction, number) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self {
            epoch: epoch.parse().map_err(|_| bad())?,
            transaction: transaction.parse().map_err(|_| bad())?,
            number: number.parse().map_err(|_| bad())?,
        })
    }
}

/// An event as recorded.
#[derive(Debug, Clone)]
pub struct Recorded<E> {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its number in the stream, from 1.
    pub sequence: i64,
    /// Its own id.
    pub event_id: Uuid,
    /// Where it stands in the log.
    pub position: Position,
    /// When the log took it in.
    pub recorded_at: DateTime<Utc>,
    /// Actor, correlation, causation.
    pub metadata: HashMap<String, String>,
    /// What happened.
    pub event: E,
}

/// A read model: one JSON document a key, folded from the events of one aggregate. Invariant: the events of a key
/// are all in one stream, so that a rebuild can fold stream by stream.
pub trait Document: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name, which is its table and its checkpoint.
    const NAME: &'static str;
    /// The aggregate it reads.
    type Aggregate: Aggregate;
    /// The event types it needs. Whatever else is in the log, even if this build has never heard of it, passes by.
    /// Empty: every one of its aggregate's, and one that this build cannot read halts the model.
    const READS: &'static [&'static str] = &[];

    /// The document an event belongs to; `None` when it tells this model nothing.
    fn key(recorded: &Recorded<<Self::Aggregate as Aggregate>::Event>) -> Option<String>;

    /// Takes the event in. False when the document is gone afterwards.
    fn apply(&mut self, recorded: &Recorded<<Self::Aggregate as Aggregate>::Event>) -> bool;
}

/// Takes an event into a document, which it may begin or end.
pub fn fold_into<D: Document>(slot: &mut Option<D>, recorded: &Recorded<<D::Aggregate as Aggregate>::Event>) {
    let mut document = slot.take().unwrap_or_default();
    if document.apply(recorded) {
        *slot = Some(document);
    }
}

/// The documents of one stream, by key, as its events lead to them.
pub struct Documents<D>(BTreeMap<String, Option<D>>);

impl<D> Default for Documents<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D: Document> Documents<D> {
    /// Takes the stream's next event in.
    pub fn take(&mut self, recorded: &Recorded<<D::Aggregate as Aggregate>::Event>) {
        if let Some(key) = D::key(recorded) {
            fold_into(self.0.entry(key).or_default(), recorded);
        }
    }

    /// The documents there are, as a table would hold them.
    ///
    /// # Errors
    /// One is no JSON.
    pub fn into_stored(self) -> Result<Vec<D>, serde_json::Error> {
        let stored = |document| serde_json::from_value(without_nulls(serde_json::to_value::<D>(document)?));
        self.0.into_values().flatten().map(stored).collect()
    }
}
