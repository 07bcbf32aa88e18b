//! Two generations change places in one short transaction.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use crate::event_store::generations::{self, Role, Which, table};
use crate::event_store::projector::{Projection, Turn};

/// How long readers of the live table may have to wait for the swap: it waits for who reads, they for it.
const READERS_WAIT: Duration = Duration::from_millis(80);
/// And when somebody read for longer than that so many times.
const READERS_WAIT_MAX: Duration = Duration::from_secs(2);
const TRIES: u32 = 30;

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
    let new = table(name, generation, Role::Building);
    // Vacuums end, or give way, while everybody goes on reading and writing: afterwards only readers are waited for.
    let settled = format!("lock table {name}, {new} in share update exclusive mode");
    match sqlx::query(&settled).execute(&mut *transaction).await {
        // Another node swapped it, or it was given up.
        Err(error) if is_undefined_table(&error) => return Ok(false),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
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
        match projection.advance(&mut transaction, &coming, Some(live.position), projection.batch()).await? {
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
    let wait = if attempt < TRIES { READERS_WAIT } else { READERS_WAIT_MAX };
    let kept = table(name, live.generation, Role::Former);
    sqlx::query(&format!("set local lock_timeout = {}", wait.as_millis())).execute(&mut *transaction).await?;
    let began = Instant::now();
    exchange(&mut transaction, name, &kept, &new, coming.generation).await?;
    transaction.commit().await?;
    let took = began.elapsed();
    metrics::histogram!("projection_swap_seconds", "projection" => projection.name()).record(took);
    tracing::info!(projection = name, from = live.generation, to = coming.generation, ?took, "Generations swapped");
    Ok(true)
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42P01"))
}

/// From here on readers wait.
async fn exchange(
    connection: &mut PgConnection,
    name: &str,
    kept: &str,
    new: &str,
    coming: i32,
) -> Result<(), sqlx::Error> {
    for statement in [
        format!("lock table {name}, {new} in access exclusive mode"),
        format!("alter table {name} rename to {kept}"),
        format!("alter table {new} rename to {name}"),
        format!("alter table {name} reset (autovacuum_enabled)"),
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
