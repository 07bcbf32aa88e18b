//! Two generations change places in one short transaction.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use crate::event_store::generations::{self, Role, Which, table};
use crate::event_store::projector::{Projection, Turn};

/// How long readers of the live table may have to wait for the swap, at first: it waits for who reads, they for it.
const READERS_WAIT: Duration = Duration::from_millis(50);
/// And at last, when somebody reads for long, again and again.
const READERS_WAIT_MAX: Duration = Duration::from_secs(2);

/// Puts a generation in the place of the live one, at least where the live one stands. False: not now.
///
/// # Errors
/// The database; everything is as it was.
pub async fn swap(
    pool: &PgPool,
    projection: &dyn Projection,
    generation: i32,
    attempt: u32,
) -> Result<bool, sqlx::Error> {
    let name = projection.name();
    let mut transaction = pool.begin().await?;
    sqlx::query("set local lock_timeout = '2s'").execute(&mut *transaction).await?;
    // Whoever locks several takes the live one first.
    let Some(live) = generations::wait_for(&mut transaction, name, Which::Live).await? else { return Ok(false) };
    let Some(mut coming) = generations::lock(&mut transaction, name, Which::Numbered(generation)).await? else {
        return Ok(false);
    };
    if coming.role == Role::Live {
        return Ok(false);
    }
    // The events it still lacks, a batch at most.
    if coming.position < live.position {
        match projection.advance(&mut transaction, &coming, Some(live.position)).await? {
            Turn::Advanced { position, .. } => coming.position = position,
            Turn::NotOurs => {
                // It halted: that is to be known.
                transaction.commit().await?;
                return Ok(false);
            }
        }
        if coming.position < live.position {
            transaction.commit().await?;
            return Ok(false);
        }
    }
    let wait = (READERS_WAIT * 2_u32.saturating_pow(attempt.min(8))).min(READERS_WAIT_MAX);
    let began = Instant::now();
    exchange(&mut transaction, name, live.generation, coming.generation, wait).await?;
    transaction.commit().await?;
    let took = began.elapsed();
    metrics::histogram!("projection_swap_seconds", "projection" => projection.name()).record(took);
    tracing::info!(projection = name, from = live.generation, to = coming.generation, ?took, "Generations swapped");
    Ok(true)
}

async fn exchange(
    connection: &mut PgConnection,
    name: &str,
    live: i32,
    coming: i32,
    wait: Duration,
) -> Result<(), sqlx::Error> {
    let (kept, new) = (table(name, live, Role::Former), table(name, coming, Role::Building));
    for statement in [
        // Nobody reads the new table yet; at most, it is being vacuumed.
        format!("lock table {new} in access exclusive mode"),
        format!("set local lock_timeout = {}", wait.as_millis()),
        format!("lock table {name} in access exclusive mode"),
        format!("alter table {name} rename to {kept}"),
        format!("alter table {new} rename to {name}"),
    ] {
        sqlx::query(&statement).execute(&mut *connection).await?;
    }
    for statement in [
        "update projections set role = 'former', former_since = now(), differences = null
          where name = $1 and role = 'live' and generation <> $2",
        "update projections set role = 'live', phase = null, former_since = null, error = null where name = $1 and generation = $2",
        "delete from rebuild_slices where name = $1 and generation = $2",
    ] {
        sqlx::query(statement).bind(name).bind(coming).execute(&mut *connection).await?;
    }
    Ok(())
}
