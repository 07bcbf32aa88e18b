//! What is shown of projections and of rebuilds under way.

use std::collections::HashMap;

use application::projections::{Differences, ProjectionView, RebuildProgress, SliceProgress};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool, Row};

use crate::event_store::generations::position;

/// The live generations, each with its lag. Up to 10 000 events are counted, in the index; beyond, the lag is the
/// distance of positions, which is as good as long as few appends fail. The age is that of one row.
const LIVE: &str = "
select p.name, p.status, p.generation, p.error, p.differences, p.log_epoch, p.transaction_id::text as transaction_text, p.position,
       p.rate * exp(-extract(epoch from clock_timestamp() - p.updated_at)::float8 / 10) as rate,
       case when lag.events <= 10000 then lag.events else greatest(lag.events, head.position - p.position) end as lag_events,
       coalesce(extract(epoch from clock_timestamp() - oldest.recorded_at), 0)::float8 as lag_seconds
  from projections p
       cross join lateral (select count(*) as events from (
            select 1 from events e
             where (e.log_epoch, e.transaction_id, e.global_position) > (p.log_epoch, p.transaction_id, p.position)
             order by e.log_epoch, e.transaction_id, e.global_position limit 10001) counted) lag
       left join lateral (
            select e.recorded_at from events e
             where (e.log_epoch, e.transaction_id, e.global_position) > (p.log_epoch, p.transaction_id, p.position)
             order by e.log_epoch, e.transaction_id, e.global_position limit 1) oldest on true
       left join lateral (
            select e.global_position as position from events e
             order by e.log_epoch desc, e.transaction_id desc, e.global_position desc limit 1) head on true
 where p.role = 'live' and ($1::text is null or p.name = $1)
 order by p.name";

const BESIDE: &str = "
select p.name, p.generation, p.role, p.status, p.phase, p.error, p.differences, p.started_at, p.events_done, p.events_total,
       p.rate * exp(-extract(epoch from clock_timestamp() - p.updated_at)::float8 / 10) as rate
  from projections p where p.role <> 'live' and ($1::text is null or p.name = $1)";

const SLICES: &str = "
select s.name, s.slice, s.events_done, s.done,
       s.rate * exp(-extract(epoch from clock_timestamp() - s.updated_at)::float8 / 10) as rate
  from rebuild_slices s where $1::text is null or s.name = $1 order by s.name, s.slice";

/// Every live projection, with what is under way beside it; with `name`, that one.
///
/// # Errors
/// The database.
pub async fn list(pool: &PgPool, name: Option<&str>) -> Result<Vec<ProjectionView>, sqlx::Error> {
    // One snapshot: a swap between two statements would show a generation in both places, or none on its way.
    let mut snapshot = pool.begin_with("begin isolation level repeatable read, read only").await?;
    let mut views = live(&mut *snapshot, name).await?;
    let beside = sqlx::query(BESIDE).bind(name).fetch_all(&mut *snapshot).await?;
    let mut slices: HashMap<String, Vec<SliceProgress>> = HashMap::new();
    for row in sqlx::query(SLICES).bind(name).fetch_all(&mut *snapshot).await? {
        slices.entry(row.try_get("name")?).or_default().push(SliceProgress {
            slice: row.try_get("slice")?,
            events_done: row.try_get("events_done")?,
            rate: row.try_get("rate")?,
            done: row.try_get("done")?,
        });
    }
    snapshot.commit().await?;
    for row in &beside {
        let name: String = row.try_get("name")?;
        if let Some(view) = views.iter_mut().find(|view| view.name == name) {
            show_beside(view, row, slices.remove(&name).unwrap_or_default())?;
        }
    }
    Ok(views)
}

/// The live generations alone: what readiness and metrics need.
///
/// # Errors
/// The database.
pub async fn live(database: impl PgExecutor<'_>, name: Option<&str>) -> Result<Vec<ProjectionView>, sqlx::Error> {
    let rows = sqlx::query(LIVE).bind(name).fetch_all(database).await?;
    rows.iter()
        .map(|row| {
            Ok(ProjectionView {
                name: row.try_get("name")?,
                status: row.try_get("status")?,
                lag_events: row.try_get("lag_events")?,
                lag_seconds: row.try_get("lag_seconds")?,
                rate: row.try_get("rate")?,
                generation: row.try_get("generation")?,
                position: position(row)?.to_string(),
                progress: None,
                differences: differences(row)?,
                error: row.try_get("error")?,
                former_generation: None,
            })
        })
        .collect()
}

fn differences(row: &PgRow) -> Result<Option<Differences>, sqlx::Error> {
    Ok(row.try_get::<Option<Json<Differences>>, _>("differences")?.map(|it| it.0))
}

/// A build, a rollback under way, or a former generation that is merely kept.
fn show_beside(view: &mut ProjectionView, row: &PgRow, slices: Vec<SliceProgress>) -> Result<(), sqlx::Error> {
    let (role, status): (String, String) = (row.try_get("role")?, row.try_get("status")?);
    let phase: Option<String> = row.try_get("phase")?;
    if role == "former" {
        view.former_generation = Some(row.try_get("generation")?);
    }
    let Some(phase) = phase else { return Ok(()) };
    let (mut done, mut rate): (i64, f64) = (row.try_get("events_done")?, row.try_get("rate")?);
    let total: i64 = row.try_get("events_total")?;
    if phase == "slices" {
        done = slices.iter().map(|slice| slice.events_done).sum();
        rate = slices.iter().map(|slice| slice.rate).sum();
    }
    let left = (total - done).max(0) as f64;
    view.status = if status == "running" { "rebuilding" } else { "paused" }.to_owned();
    view.progress = Some(RebuildProgress {
        eta_seconds: (phase == "slices" && rate > 0.0).then(|| left / rate),
        phase,
        generation: row.try_get("generation")?,
        events_done: done,
        events_total: total.max(done),
        rate,
        started_at: row.try_get::<DateTime<Utc>, _>("started_at")?.into(),
        slices,
        differences: differences(row)?,
        error: row.try_get("error")?,
    });
    Ok(())
}
