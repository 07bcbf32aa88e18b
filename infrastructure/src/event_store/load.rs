//! Loading a stream: a snapshot, when there is a good one, and the events after it.

use std::collections::HashMap;

use cqrs_es::Aggregate;
use domain::personal::Personal;
use domain::shared::ids::StreamId;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{RawEvent, read_stream, read_streams};
use crate::event_store::sealed::{part_of, snapshot_place};

/// Events between two snapshots: a load reads at most this many and a snapshot.
pub const SNAPSHOT_EVERY: i64 = 100;
/// Events read at a time.
const PAGE: i64 = 1_000;
/// Events of each stream read at a time, of those that are loaded together.
const PAGE_OF_MANY: i64 = 2 * SNAPSHOT_EVERY;

/// An aggregate and the sequence it stands at.
#[derive(Debug, Clone, Default)]
pub struct Loaded<A> {
    /// The state.
    pub aggregate: A,
    /// The last event in it; 0 for none.
    pub sequence: i64,
    /// The last event in the snapshot it came from; 0 for none.
    pub snapshot: i64,
}

/// Why a stream could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A contact's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An event that this build cannot read.
    #[error("event {sequence} of {stream} cannot be read: {reason}")]
    Undecodable {
        /// The stream.
        stream: String,
        /// The event.
        sequence: i64,
        /// Why.
        reason: String,
    },
}

impl LoadError {
    /// For those who only know the database's errors.
    pub fn into_database(self) -> sqlx::Error {
        match self {
            Self::Database(error) => error,
            Self::Key(error) => error.into_database(),
            other @ Self::Undecodable { .. } => sqlx::Error::Decode(Box::new(other)),
        }
    }
}

/// Loads a stream.
///
/// # Errors
/// The database, or an event that cannot be read.
pub async fn load<A: Aggregate>(pool: &PgPool, keys: &KeyRing, stream: &StreamId) -> Result<Loaded<A>, LoadError> {
    let loaded = load_many(&mut *pool.acquire().await?, keys, std::slice::from_ref(stream)).await?.pop();
    loaded.ok_or(sqlx::Error::RowNotFound)?
}

/// Loads streams together; an event that cannot be read is the trouble of its own stream.
///
/// # Errors
/// The database.
pub async fn load_many<A: Aggregate>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    streams: &[StreamId],
) -> Result<Vec<Result<Loaded<A>, LoadError>>, LoadError> {
    let names: Vec<String> = streams.iter().map(StreamId::to_string).collect();
    let mut states = snapshots::<A>(connection, keys, streams, &names).await?;
    let after: Vec<i64> = states.iter().map(|it| it.sequence).collect();
    let mut events = read_streams(connection, A::TYPE, &names, &after, PAGE_OF_MANY).await?;
    keys.open(connection, &mut events).await?;
    let mut read: HashMap<String, Vec<RawEvent>> = HashMap::new();
    for event in events {
        read.entry(event.stream.clone()).or_default().push(event);
    }
    let mut loaded = Vec::with_capacity(streams.len());
    for (name, mut state) in names.iter().zip(states.drain(..)) {
        let events = read.remove(name).unwrap_or_default();
        let full = events.len() as i64 == PAGE_OF_MANY;
        let mut applied = apply(&mut state, name, events);
        if full && applied.is_ok() {
            applied = read_on(connection, keys, name, &mut state).await;
        }
        loaded.push(applied.map(|()| state));
    }
    Ok(loaded)
}

/// What the snapshots of these streams say, each empty where there is none, or none this build can read: the events
/// say the same.
async fn snapshots<A: Aggregate>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    streams: &[StreamId],
    names: &[String],
) -> Result<Vec<Loaded<A>>, LoadError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "select s.aggregate_id, s.last_sequence, s.payload::text from unnest($2::text[]) as w(id) cross join lateral (
             select * from snapshots s where s.aggregate_type = $1 and s.aggregate_id = w.id limit 1) as s",
    )
    .bind(A::TYPE)
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = HashMap::new();
    for (name, sequence, payload) in rows {
        let Some(stream) = names.iter().position(|it| *it == name).and_then(|at| streams.get(at)) else { continue };
        let payload = match part_of(&payload) {
            None => Some(payload.into_bytes()),
            Some(part) => {
                let place = snapshot_place(A::TYPE, &name, sequence);
                keys.open_part(connection, stream.tenant, &part, &place).await?
            }
        };
        if let Some(aggregate) = payload.and_then(|payload| serde_json::from_slice(&payload).ok()) {
            found.insert(name, Loaded { aggregate, sequence, snapshot: sequence });
        }
    }
    Ok(names.iter().map(|name| found.remove(name).unwrap_or_default()).collect())
}

fn apply<A: Aggregate>(loaded: &mut Loaded<A>, name: &str, events: Vec<RawEvent>) -> Result<(), LoadError> {
    for event in events {
        let sequence = event.sequence;
        let recorded = event.decode::<A::Event>().map_err(|reason| LoadError::Undecodable {
            stream: name.to_owned(),
            sequence,
            reason,
        })?;
        loaded.aggregate.apply(recorded.event);
        loaded.sequence = sequence;
    }
    Ok(())
}

/// Applies the events after `loaded.sequence`.
///
/// # Errors
/// As [`load`].
pub async fn catch_up<A: Aggregate>(
    pool: &PgPool,
    keys: &KeyRing,
    stream: &StreamId,
    loaded: &mut Loaded<A>,
) -> Result<(), LoadError> {
    read_on(&mut *pool.acquire().await?, keys, &stream.to_string(), loaded).await
}

async fn read_on<A: Aggregate>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    name: &str,
    loaded: &mut Loaded<A>,
) -> Result<(), LoadError> {
    loop {
        let mut events = read_stream(connection, A::TYPE, name, loaded.sequence, PAGE).await?;
        keys.open(connection, &mut events).await?;
        let last_page = (events.len() as i64) < PAGE;
        apply(loaded, name, events)?;
        if last_page {
            return Ok(());
        }
    }
}

/// Keeps a snapshot, sealed when it is about a contact, unless a later one is kept already. Of an erased contact
/// none is kept.
///
/// # Errors
/// The database.
pub async fn save_snapshot<A: Personal>(
    pool: &PgPool,
    keys: &KeyRing,
    stream: &StreamId,
    loaded: &Loaded<A>,
) -> Result<(), LoadError> {
    let plain = serde_json::to_vec(&loaded.aggregate).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let payload: Value = match loaded.aggregate.contact() {
        Some(contact) => match keys.known(stream.tenant, contact).await {
            Ok(key) => key.seal(&plain, &snapshot_place(A::TYPE, &stream.to_string(), loaded.sequence)).json(),
            Err(KeyError::Erased) => return Ok(()),
            Err(error) => return Err(error.into()),
        },
        None => serde_json::from_slice(&plain).map_err(|error| sqlx::Error::Encode(error.into()))?,
    };
    sqlx::query(
        "insert into snapshots as s (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload)
         values ($1, $2, $3, 1, $4)
         on conflict (aggregate_type, aggregate_id) do update
            set last_sequence = excluded.last_sequence, current_snapshot = s.current_snapshot + 1, payload = excluded.payload
          where s.last_sequence < excluded.last_sequence",
    )
    .bind(A::TYPE)
    .bind(stream.to_string())
    .bind(loaded.sequence)
    .bind(payload)
    .execute(pool)
    .await?;
    Ok(())
}
