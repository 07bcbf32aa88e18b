//! Appends: every command's events, keys, effects and conclusions go in by one statement. Commands that come
//! at the same time share one statement and one commit; one that cannot go in is told apart from its neighbours.

use std::collections::HashSet;
use std::sync::Arc;

use application::commands::{Conclude, Once};
use application::effects::{Dispatch, Effect};
use application::log::Position;
use domain::shared::ids::{BulkSendId, ContactId, StreamId, TenantId};
use futures::FutureExt;
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};

use crate::event_store::append_sql;
use crate::outbox::handoff::{Handoff, Offer};
use crate::together::Together;

/// Commands that share one statement at most.
const BATCH_MAX: usize = 128;

/// One event to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Stable tag.
    pub event_type: String,
    /// Version of its shape.
    pub event_version: String,
    /// Its JSON.
    pub payload: String,
}

/// Everything one command writes.
#[derive(Debug, Clone)]
pub struct Append {
    /// The aggregate's type.
    pub aggregate_type: &'static str,
    /// Its stream.
    pub stream: StreamId,
    /// The contact the stream is about from now on, when it was not before.
    pub meets: Option<ContactId>,
    /// The stream's last sequence, as the decision saw it.
    pub expected: i64,
    /// The events.
    pub events: Vec<NewEvent>,
    /// Actor, correlation, causation.
    pub metadata: Value,
    /// Keys that must be new.
    pub once: Vec<Once>,
    /// Keys written when new.
    pub mark: Vec<Once>,
    /// What it concludes.
    pub conclude: Option<Conclude>,
    /// What the events lead to.
    pub effects: Vec<Effect>,
}

/// What must hold for an append to go in, beside its stream's version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Condition {
    /// A key is new.
    Key(TenantId, String),
    /// An outbox row is held.
    Lease(i64),
    /// A recipient of a bulk send is held.
    Recipient(BulkSendId, i32),
}

impl Append {
    fn conditions(&self) -> Vec<Condition> {
        let tenant = self.stream.tenant;
        let keys = self.once.iter().map(|once| Condition::Key(tenant, once.key.clone()));
        let lease = match &self.conclude {
            Some(Conclude::Leased { id, .. } | Conclude::Buried { id, .. }) => Some(Condition::Lease(*id)),
            Some(Conclude::Recipient { bulk, number, .. }) => Some(Condition::Recipient(*bulk, *number)),
            Some(Conclude::Told { .. }) | None => None,
        };
        keys.chain(lease).collect()
    }

    /// The messages it sends, in their order.
    fn messages(&self) -> impl Iterator<Item = &Dispatch> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Send(dispatch) => Some(&**dispatch),
            Effect::TakeUp { .. } | Effect::Later { .. } | Effect::LetGo => None,
        })
    }

    /// The resources it takes up. Two appends that take the same one up may be in each other's way.
    fn resources(&self) -> impl Iterator<Item = (TenantId, &str)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::TakeUp { resource, .. } => Some((self.stream.tenant, resource.as_str())),
            Effect::Send(_) | Effect::Later { .. } | Effect::LetGo => None,
        })
    }
}

/// Why an append did not go in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the stream.
    #[error("the stream has moved on")]
    Conflict,
    /// One of its keys is known.
    #[error("a key is known already")]
    KeyTaken,
    /// Another appointment takes the resource up at that time.
    #[error("the resource is taken at that time")]
    Occupied,
    /// What it concludes is not held by that lease.
    #[error("the lease was lost")]
    LeaseLost,
    /// No database.
    #[error("the database cannot be reached: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// Anything else.
    #[error("the append failed: {0}")]
    Failed(Arc<sqlx::Error>),
}

/// The position of an append's last event; none when it had no event.
pub type AppendResult = Result<Option<Position>, AppendError>;

/// Takes appends in and writes them together; those that send broadcasts on their own, so that no reply waits behind
/// them.
#[derive(Clone)]
pub struct Appender {
    broadcasts: Together<Arc<Append>, AppendResult>,
    others: Together<Arc<Append>, AppendResult>,
}

impl Appender {
    /// Starts the writers; they end when the last handle is dropped. One of each kind, because while one statement
    /// commits the next batch grows: at 8 callers that was well ahead of 2, 3 and 6 writers, and on the whole path slightly;
    /// at 32 callers 3 writers did better (single runs on a busy machine).
    pub fn start(pool: PgPool) -> Self {
        Self::handing_on(pool, Arc::default())
    }

    /// The same, and messages that may leave at once go straight to this node's sender.
    pub fn handing_on(pool: PgPool, handoff: Arc<Handoff>) -> Self {
        let writer = || {
            let handoff = Arc::clone(&handoff);
            Together::start(pool.clone(), BATCH_MAX, move |connection, appends| {
                write(connection, Arc::clone(&handoff), appends).boxed()
            })
        };
        Self { broadcasts: writer(), others: writer() }
    }

    /// Appends. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// Nothing of it was written.
    pub async fn append(&self, append: Append) -> AppendResult {
        let is_broadcast = append.messages().any(|message| message.priority > 0);
        let writer = if is_broadcast { &self.broadcasts } else { &self.others };
        writer.ask(Arc::new(append)).await.unwrap_or_else(|error| Err(classify(error)))
    }
}

/// Writes a batch: what one statement can tell apart by one, the rest one by one.
async fn write(
    connection: &mut PgConnection,
    handoff: Arc<Handoff>,
    appends: Vec<Arc<Append>>,
) -> Result<Vec<AppendResult>, sqlx::Error> {
    let (shared, alone) = told_apart(&appends);
    let offers: Vec<_> =
        shared.iter().map(|(_, append)| append.messages().next().and_then(|it| handoff.offer(it))).collect();
    let tokens = offers.iter().map(|offer| offer.as_ref().map(|offer| offer.token));
    let batch: Vec<_> = shared.iter().map(|(_, append)| *append).zip(tokens).collect();
    let written = append_sql::execute(connection, &batch).await?;
    let mut results: Vec<AppendResult> = appends.iter().map(|_| Err(AppendError::Conflict)).collect();
    for (((place, append), offer), written) in shared.into_iter().zip(offers).zip(written) {
        results[place] = written.map(|written| {
            hand_on(&handoff, append, offer.zip(written.claimed));
            written.position
        });
    }
    for (place, append) in alone {
        results[place] = write_alone(connection, append).await;
        if results[place].is_ok() {
            hand_on(&handoff, append, None);
        }
    }
    Ok(results)
}

/// Gives the sender the message it claimed; the others wait.
fn hand_on(handoff: &Handoff, append: &Append, claimed: Option<(Offer, i64)>) {
    let mut waiting = append.messages();
    if let Some((offer, row)) = claimed
        && let Some(first) = waiting.next()
    {
        offer.accept(row, append.stream.tenant, first);
    }
    if waiting.next().is_some() {
        handoff.waits();
    }
}

/// One statement tells commands apart that have one condition each and share none. The rest, which is rare,
/// goes in one by one: only then does a refusal leave nothing behind, and the first of equals wins alone. Those that
/// take the same resource up are kept apart, too: a clash fails the whole statement.
fn told_apart(appends: &[Arc<Append>]) -> (Placed<'_>, Placed<'_>) {
    let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
    appends.iter().map(|append| &**append).enumerate().partition(|(_, append)| {
        let conditions = append.conditions();
        append.resources().all(|resource| taken.insert(resource))
            && conditions.len() <= 1
            && conditions.into_iter().all(|condition| seen.insert(condition))
    })
}

/// Appends with their places in a batch.
type Placed<'a> = Vec<(usize, &'a Append)>;

/// Writes one command whole, or nothing of it.
async fn write_alone(connection: &mut PgConnection, append: &Append) -> AppendResult {
    let written = async {
        if append.conditions().len() <= 1 {
            return Ok(append_sql::execute(connection, &[(append, None)]).await?.pop());
        }
        let mut transaction = connection.begin().await?;
        let result = append_sql::execute(&mut transaction, &[(append, None)]).await?.pop();
        if matches!(result, Some(Ok(_))) {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(result)
    };
    let written = written.await.unwrap_or_else(|error| Some(Err(classify(error))));
    written.unwrap_or(Err(AppendError::Conflict)).map(|written| written.position)
}

/// Tells a conflict of versions from every other failure, by the constraint's name.
pub fn classify(error: sqlx::Error) -> AppendError {
    if let sqlx::Error::Database(database) = &error {
        let code = database.code();
        if code.as_deref() == Some("23P01") && database.constraint() == Some("appointment_slots_free") {
            return AppendError::Occupied;
        }
        let version_taken = code.as_deref() == Some("23505") && database.constraint() == Some("events_pkey");
        if version_taken || matches!(code.as_deref(), Some("40001" | "40P01")) {
            return AppendError::Conflict;
        }
    }
    if is_unavailable(&error) {
        AppendError::Unavailable(Arc::new(error))
    } else {
        AppendError::Failed(Arc::new(error))
    }
}

/// Whether the database could not be reached, or refused because it starts, stops or is full, or because a lock or
/// the statement took too long.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => {
            let passing = ["08", "53", "57P", "55P03", "57014"];
            database.code().is_some_and(|code| passing.iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}
