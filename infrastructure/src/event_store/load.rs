//! Loading a stream: a snapshot, when there is a good one, and the events after it.

use cqrs_es::Aggregate;
use domain::personal::Personal;
use domain::shared::ids::StreamId;
use serde_json::Value;
use sqlx::{PgPool, Row};

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::read_stream;
use crate::event_store::sealed::{part_of, snapshot_place};

/// Events between two snapshots: a load reads at most this many and a snapshot.
pub const SNAPSHOT_EVERY: i64 = 100;
/// Events read at a time.
const PAGE: i64 = 1_000;

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

/// Loads a stream.
///
/// # Errors
/// The database, or an event that cannot be read.
pub async fn load<A: Aggregate>(pool: &PgPool, keys: &KeyRing, stream: &StreamId) -> Result<Loaded<A>, LoadError> {
    let mut loaded = snapshot(pool, keys, stream).await?.unwrap_or_default();
    catch_up(pool, keys, stream, &mut loaded).await?;
    Ok(loaded)
}

/// A snapshot this build cannot read is no loss: the events say the same.
async fn snapshot<A: Aggregate>(
    pool: &PgPool,
    keys: &KeyRing,
    stream: &StreamId,
) -> Result<Option<Loaded<A>>, LoadError> {
    let row = sqlx::query(
        "select last_sequence, payload::text as payload from snapshots where aggregate_type = $1 and aggregate_id = $2",
    )
    .bind(A::TYPE)
    .bind(stream.to_string())
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (sequence, payload): (i64, String) = (row.try_get("last_sequence")?, row.try_get("payload")?);
    let payload = match part_of(&payload) {
        None => payload.into_bytes(),
        Some(part) => {
            let place = snapshot_place(A::TYPE, &stream.to_string(), sequence);
            let mut connection = pool.acquire().await?;
            match keys.open_part(&mut connection, stream.tenant, &part, &place).await? {
                Some(opened) => opened,
                None => return Ok(None),
            }
        }
    };
    let aggregate = serde_json::from_slice(&payload).ok();
    Ok(aggregate.map(|aggregate| Loaded { aggregate, sequence, snapshot: sequence }))
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
    let name = stream.to_string();
    let mut connection = pool.acquire().await?;
    loop {
        let mut events = read_stream(&mut connection, A::TYPE, &name, loaded.sequence, PAGE).await?;
        keys.open(&mut connection, &mut events).await?;
        let last_page = (events.len() as i64) < PAGE;
        for event in events {
            let sequence = event.sequence;
            let recorded = event.decode::<A::Event>().map_err(|reason| LoadError::Undecodable {
                stream: name.clone(),
                sequence,
                reason,
            })?;
            loaded.aggregate.apply(recorded.event);
            loaded.sequence = sequence;
        }
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
