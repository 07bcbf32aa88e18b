//! Loading a stream: a snapshot, when there is a good one, and the events after it.

use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use serde_json::Value;
use sqlx::{PgPool, Row};

/// Events between two snapshots: a load reads at most this many and a snapshot.
pub const SNAPSHOT_EVERY: i64 = 100;

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
    /// An event that this build cannot read.
    #[error("event {sequence} of {stream} cannot be read: {source}")]
    Undecodable {
        /// The stream.
        stream: String,
        /// The event.
        sequence: i64,
        /// Why.
        source: serde_json::Error,
    },
}

/// Loads a stream.
///
/// # Errors
/// The database, or an event that cannot be read.
pub async fn load<A: Aggregate>(pool: &PgPool, stream: &StreamId) -> Result<Loaded<A>, LoadError> {
    let row =
        sqlx::query("select last_sequence, payload from snapshots where aggregate_type = $1 and aggregate_id = $2")
            .bind(A::TYPE)
            .bind(stream.to_string())
            .fetch_optional(pool)
            .await?;
    // A snapshot this build cannot read is no loss: the events say the same.
    let snapshot = row.and_then(|row| {
        let sequence: i64 = row.try_get("last_sequence").ok()?;
        let aggregate = serde_json::from_value(row.try_get::<Value, _>("payload").ok()?).ok()?;
        Some(Loaded { aggregate, sequence, snapshot: sequence })
    });
    let mut loaded = snapshot.unwrap_or_default();
    catch_up(pool, stream, &mut loaded).await?;
    Ok(loaded)
}

/// Applies the events after `loaded.sequence`.
///
/// # Errors
/// As [`load`].
pub async fn catch_up<A: Aggregate>(pool: &PgPool, stream: &StreamId, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
    let rows = sqlx::query(
        "select sequence, payload from events
          where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence",
    )
    .bind(A::TYPE)
    .bind(stream.to_string())
    .bind(loaded.sequence)
    .fetch_all(pool)
    .await?;
    for row in rows {
        let (sequence, payload): (i64, Value) = (row.try_get("sequence")?, row.try_get("payload")?);
        let event = serde_json::from_value(payload).map_err(|source| LoadError::Undecodable {
            stream: stream.to_string(),
            sequence,
            source,
        })?;
        loaded.aggregate.apply(event);
        loaded.sequence = sequence;
    }
    Ok(())
}

/// Keeps a snapshot, unless a later one is kept already.
///
/// # Errors
/// The database.
pub async fn save_snapshot<A: Aggregate>(
    pool: &PgPool,
    stream: &StreamId,
    loaded: &Loaded<A>,
) -> Result<(), sqlx::Error> {
    let payload = serde_json::to_value(&loaded.aggregate).map_err(|error| sqlx::Error::Encode(error.into()))?;
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
