//! Making and dropping generations.

use application::error::{AppError, AppResult};
use application::log::Position;
use sqlx::{PgConnection, PgPool, Row};

use crate::event_store::generations::{Role, table};
use crate::event_store::projector::Projection;
use crate::postgres::app_error;

/// Slices of a build: enough for several nodes to share, and for none to be left with the longest.
const SLICES: i32 = 8;
/// Pages of the log that are looked at to cut slices, at most.
const SAMPLE_PAGES: f64 = 1_000.0;

/// Makes a new generation with its table and its slices; returns its number. Whatever was given up, halted, or kept
/// for a rollback goes.
///
/// # Errors
/// A build or a rollback is under way, or the database.
pub async fn begin(pool: &PgPool, projection: &dyn Projection, confirm: bool) -> AppResult<i32> {
    let cut = cut(pool, projection.aggregate()).await.map_err(app_error)?;
    let mut transaction = pool.begin().await.map_err(app_error)?;
    sqlx::query("set local lock_timeout = '2s'").execute(&mut *transaction).await.map_err(app_error)?;
    let under_way: i64 = sqlx::query_scalar(
        "select count(*) filter (where role <> 'live' and phase is not null and status = 'running')
           from (select role, phase, status from projections where name = $1 order by role desc for update) held",
    )
    .bind(projection.name())
    .fetch_one(&mut *transaction)
    .await
    .map_err(refusal)?;
    if under_way > 0 {
        return Err(busy());
    }
    let generation = make(&mut transaction, projection.name(), &cut, confirm).await.map_err(refusal)?;
    transaction.commit().await.map_err(app_error)?;
    let events = cut.events;
    tracing::info!(projection = projection.name(), generation, events, "A rebuild begins");
    Ok(generation)
}

/// Two begin at once and the other one was first, or somebody held what is needed for too long.
fn refusal(error: sqlx::Error) -> AppError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => busy(),
        Some(database) if database.code().as_deref() == Some("55P03") => AppError::Unavailable,
        Some(_) | None => app_error(error),
    }
}

fn busy() -> AppError {
    AppError::Conflict { code: "rebuilding", message: "a rebuild or a rollback is under way".to_owned() }
}

/// Where the slices begin, and about how many events there are.
struct Cut {
    bounds: Vec<String>,
    events: i64,
}

/// Cuts by a sample of whole pages of the log; of a small log, by all of it.
async fn cut(pool: &PgPool, aggregate: &str) -> Result<Cut, sqlx::Error> {
    let pages: i64 = sqlx::query_scalar("select pg_relation_size('events') / current_setting('block_size')::bigint")
        .fetch_one(pool)
        .await?;
    let percent = (100.0 * SAMPLE_PAGES / (pages.max(1) as f64)).min(100.0);
    let fractions: Vec<f64> = (1..SLICES).map(|n| f64::from(n) / f64::from(SLICES)).collect();
    let row = sqlx::query(
        "select count(*) as events, percentile_disc($3::float8[]) within group (order by aggregate_id) as bounds
           from events tablesample system ($2) where aggregate_type = $1",
    )
    .bind(aggregate)
    .bind(percent as f32)
    .bind(fractions)
    .fetch_one(pool)
    .await?;
    let sampled: i64 = row.try_get("events")?;
    let mut bounds: Vec<String> = row.try_get::<Option<Vec<String>>, _>("bounds")?.unwrap_or_default();
    bounds.dedup();
    Ok(Cut { bounds, events: (sampled as f64 * 100.0 / percent) as i64 })
}

async fn make(connection: &mut PgConnection, name: &str, cut: &Cut, confirm: bool) -> Result<i32, sqlx::Error> {
    let known = sqlx::query("select generation, role from projections where name = $1")
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
    let mut last = 0;
    for row in known {
        let (generation, role): (i32, String) = (row.try_get("generation")?, row.try_get("role")?);
        last = last.max(generation);
        if role != "live" {
            drop_generation(connection, name, generation).await?;
        }
    }
    let (generation, barrier) = (last + 1, barrier(connection).await?);
    sqlx::query(
        "insert into projections (name, generation, role, phase, confirm, events_total, log_epoch, transaction_id)
         values ($1, $2, 'building', 'slices', $3, $4, $5, $6::text::xid8)",
    )
    .bind(name)
    .bind(generation)
    .bind(confirm)
    .bind(cut.events)
    .bind(barrier.epoch)
    .bind(barrier.transaction.to_string())
    .execute(&mut *connection)
    .await?;
    let from: Vec<Option<&str>> = std::iter::once(None).chain(cut.bounds.iter().map(|it| Some(it.as_str()))).collect();
    let to: Vec<Option<&str>> = from.iter().skip(1).copied().chain(std::iter::once(None)).collect();
    sqlx::query(
        "insert into rebuild_slices (name, generation, slice, from_stream, to_stream)
         select $1, $2, cut.n - 1, cut.f, cut.t from unnest($3::text[], $4::text[]) with ordinality as cut(f, t, n)",
    )
    .bind(name)
    .bind(generation)
    .bind(from)
    .bind(to)
    .execute(&mut *connection)
    .await?;
    let table = table(name, generation, Role::Building);
    for statement in [
        // It only grows until it is live: nothing is to be vacuumed, and the disk is everybody's.
        format!("create table {table} (like {name} including all) with (autovacuum_enabled = off)"),
        // `like` leaves this behind: a document is not to be analysed.
        format!("alter table {table} alter column body set statistics 0"),
    ] {
        sqlx::query(&statement).execute(&mut *connection).await?;
    }
    Ok(generation)
}

/// Whatever stands below it has finished, here and in earlier epochs: no event can come to be there.
async fn barrier(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "select m.log_epoch as epoch, pg_snapshot_xmin(pg_current_snapshot())::text as transaction_text from store_meta m",
    )
    .fetch_one(connection)
    .await?;
    let transaction: String = row.try_get("transaction_text")?;
    Ok(Position {
        epoch: row.try_get("epoch")?,
        transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        number: 0,
    })
}

/// Drops a generation that nobody reads.
///
/// # Errors
/// The database.
pub async fn drop_generation(connection: &mut PgConnection, name: &str, generation: i32) -> Result<(), sqlx::Error> {
    let deleted = sqlx::query("delete from projections where name = $1 and generation = $2 and role <> 'live'")
        .bind(name)
        .bind(generation)
        .execute(&mut *connection)
        .await?;
    if deleted.rows_affected() > 0 {
        let drop = format!("drop table if exists {}", table(name, generation, Role::Former));
        sqlx::query(&drop).execute(connection).await?;
    }
    Ok(())
}
