//! The runner of projections: lock the checkpoint, read, fold in memory, one upsert, move the checkpoint, commit.
//! Exactly once by construction; the row's lock is the fence.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use application::log::{Document, Position};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use sqlx::{Connection, PgConnection, PgPool};

use crate::event_store::documents::{self, Documents};
use crate::event_store::generations::{self, Held, Step, Which};
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{RawEvent, read_log};
use crate::event_store::rebuild::{refold, slices};

/// Events a projection takes in at a time.
pub const BATCH_MAX: i64 = 1_500;

/// Nobody waits for a turn's commit to reach the disk: a crash loses documents and checkpoint together, and the log
/// has them still.
pub(super) const UNHURRIED: &str = "begin; set local synchronous_commit = off";
/// [`UNHURRIED`], and no statement is planned anew each time: a short turn would spend a seventh of its time on that.
pub(super) const TURN: &str =
    "begin; set local synchronous_commit = off; set local plan_cache_mode = force_generic_plan";

/// What one turn of a projection came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It took in this many events and stands here. Fewer than a batch: it is at the head.
    Advanced {
        /// Events read.
        events: usize,
        /// Its checkpoint.
        position: Position,
    },
    /// Somebody else runs it, or it is halted.
    NotOurs,
}

impl Step {
    /// The turn it was, of a stretch of so many events.
    pub fn turn(self, read: usize) -> Turn {
        let Some(error) = self.error else { return Turn::Advanced { events: read, position: self.to } };
        tracing::error!(projection = self.held.name, generation = self.held.generation, error, "A projection halted");
        Turn::NotOurs
    }
}

/// A stretch of the log, opened.
pub struct Stretch {
    /// Its events.
    pub events: Vec<RawEvent>,
    /// Where whoever took it in stands.
    pub end: Position,
}

impl Stretch {
    /// Reads what comes after `after`, up to `batch` events and none after `until`; payloads of the aggregates in `of`
    /// alone. When nothing more comes up to there, it ends at `until`.
    ///
    /// # Errors
    /// The database.
    pub async fn read(
        connection: &mut PgConnection,
        keys: &KeyRing,
        (after, until): (Position, Option<Position>),
        batch: i64,
        of: &[&str],
    ) -> Result<Self, sqlx::Error> {
        let mut events = read_log(connection, after, batch, of).await?;
        keys.open(connection, &mut events).await.map_err(KeyError::into_database)?;
        let full = events.len() as i64 == batch;
        let read = events.len();
        events.retain(|event| until.is_none_or(|until| event.position <= until));
        let drained = !full || events.len() < read;
        let last = events.last().map_or(after, |event| event.position);
        let end = until.filter(|_| drained).map_or(last, |until| until.max(last));
        Ok(Self { events, end })
    }
}

/// A projection, whatever it folds.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Its name: table and checkpoint.
    fn name(&self) -> &'static str;

    /// The type of the aggregate it reads.
    fn aggregate(&self) -> &'static str;

    /// What opens its events.
    fn keys(&self) -> &KeyRing;

    /// Events it takes in at a time.
    fn batch(&self) -> i64;

    /// Takes a stretch of the log in, from a checkpoint this transaction holds; where that has to go.
    ///
    /// # Errors
    /// The database; the transaction must not be committed.
    async fn take_in(&self, connection: &mut PgConnection, held: &Held, stretch: &Stretch)
    -> Result<Step, sqlx::Error>;

    /// Takes in the next events from a checkpoint this transaction holds, up to `batch` and none after `until`; having
    /// nothing more up to there, it stands at `until`.
    ///
    /// # Errors
    /// The database; the transaction must not be committed.
    async fn advance(
        &self,
        connection: &mut PgConnection,
        held: &Held,
        until: Option<Position>,
        batch: i64,
    ) -> Result<Turn, sqlx::Error> {
        let range = (held.position, until);
        let stretch = Stretch::read(connection, self.keys(), range, batch, &[self.aggregate()]).await?;
        if stretch.events.is_empty() && stretch.end == held.position {
            return Ok(Turn::Advanced { events: 0, position: stretch.end });
        }
        let step = self.take_in(connection, held, &stretch).await?;
        generations::go(connection, std::slice::from_ref(&step)).await?;
        Ok(step.turn(stretch.events.len()))
    }

    /// The next page of a build's slice, of about `limit` events.
    ///
    /// # Errors
    /// The database; nothing of the page remains.
    async fn page(
        &self,
        connection: &mut PgConnection,
        slice: &slices::Slice,
        limit: i64,
    ) -> Result<slices::Page, sqlx::Error>;

    /// Folds these streams from scratch up to each generation's checkpoint, and puts what comes of it in place of
    /// their documents. For when what the events say has changed: personal data was erased.
    ///
    /// # Errors
    /// The database, or an event that cannot be read; the generations before that one are done.
    async fn refold(&self, pool: &PgPool, streams: &[StreamId]) -> Result<(), sqlx::Error>;

    /// One turn of the live generation.
    ///
    /// # Errors
    /// The database; nothing of the turn remains.
    async fn turn(&self, pool: &PgPool) -> Result<Turn, sqlx::Error> {
        self.turn_of(&mut *pool.acquire().await?, Which::Live, self.batch()).await
    }

    /// One turn of a generation, of up to `batch` events.
    ///
    /// # Errors
    /// The database; nothing of the turn remains.
    async fn turn_of(&self, connection: &mut PgConnection, which: Which, batch: i64) -> Result<Turn, sqlx::Error> {
        let mut transaction = connection.begin_with(TURN).await?;
        let turn = match generations::lock(&mut transaction, self.name(), which).await? {
            Some(held) => self.advance(&mut transaction, &held, None, batch).await?,
            None => Turn::NotOurs,
        };
        // Even when there was nothing: left to itself, it would hold what it has locked until the connection is used again.
        transaction.commit().await?;
        Ok(turn)
    }
}

/// The projection of a [`Document`].
pub struct DocumentProjection<D> {
    keys: Arc<KeyRing>,
    batch: i64,
    document: PhantomData<fn() -> D>,
}

impl<D: Document> DocumentProjection<D> {
    /// With batches of up to [`BATCH_MAX`] events.
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self::with_batch(keys, BATCH_MAX)
    }

    /// With batches of another size; the result is the same.
    pub fn with_batch(keys: Arc<KeyRing>, batch: i64) -> Self {
        Self { keys, batch, document: PhantomData }
    }
}

#[async_trait]
impl<D: Document> Projection for DocumentProjection<D>
where
    <D::Aggregate as Aggregate>::Event: Send + Sync,
{
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn aggregate(&self) -> &'static str {
        D::Aggregate::TYPE
    }

    fn keys(&self) -> &KeyRing {
        &self.keys
    }

    fn batch(&self) -> i64 {
        self.batch
    }

    async fn take_in(
        &self,
        connection: &mut PgConnection,
        held: &Held,
        stretch: &Stretch,
    ) -> Result<Step, sqlx::Error> {
        let folded = fold::<D>(connection, &held.table(), &stretch.events).await?;
        documents::store(connection, &held.table(), folded.documents).await?;
        let reached = folded.halted.as_ref().map(|halt| halt.reached.unwrap_or(held.position));
        Ok(Step {
            held: held.clone(),
            to: reached.unwrap_or(stretch.end),
            events: folded.events,
            error: folded.halted.map(|halt| halt.error),
        })
    }

    async fn page(
        &self,
        connection: &mut PgConnection,
        slice: &slices::Slice,
        limit: i64,
    ) -> Result<slices::Page, sqlx::Error> {
        slices::page::<D>(connection, &self.keys, slice, limit).await
    }

    async fn refold(&self, pool: &PgPool, streams: &[StreamId]) -> Result<(), sqlx::Error> {
        refold::refold::<D>(pool, &self.keys, streams).await
    }
}

/// The poison event that stopped a projection, and the last good one before it.
struct Halt {
    reached: Option<Position>,
    error: String,
}

struct Folded<D> {
    documents: Documents<D>,
    events: i64,
    halted: Option<Halt>,
}

/// Folds the events up to the first one that cannot be read.
async fn fold<D: Document>(
    connection: &mut PgConnection,
    table: &str,
    events: &[RawEvent],
) -> Result<Folded<D>, sqlx::Error> {
    let mut keyed = Vec::new();
    let (mut halted, mut reached, mut done) = (None, None, 0);
    for event in events {
        match documents::needed::<D>(event) {
            Ok(needed) => keyed.extend(needed),
            Err(error) => {
                halted = Some(Halt { reached, error });
                break;
            }
        }
        reached = Some(event.position);
        done += 1;
    }
    let mut documents: HashMap<_, _> = documents::known(connection, table, keyed.iter().map(|(key, _)| key)).await?;
    for event in keyed {
        documents::apply(&mut documents, event);
    }
    Ok(Folded { documents, events: done, halted })
}
