//! Jobs and items as their rows hold them.

use application::templates::batch::HeldBatch;
use application::templates::batch::views::{BatchItemView, BatchView};
use application::time::Stamp;
use chrono::{DateTime, Utc};
use domain::flow::validation::Problem;
use domain::shared::ids::{TemplateId, TenantId, UserId};
use domain::template::batch::{BatchStatus, ItemState};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

/// $1: the job; $2: the account.
pub(super) const BATCH: &str = "
select id, status, interval_ms, waiting_for, case when waiting_for is not null then next_at end as waiting_until,
       created_at, started_at, finished_at
  from template_batches where id = $1 and tenant_id = $2";

/// $1: the job.
pub(super) const ITEMS: &str = "
select n, template ->> 'name' as name, template ->> 'language' as language, state, attempts, template_id, code, error,
       problems, finished_at
  from template_batch_items where batch_id = $1 order by n";

/// A job with its lease.
pub(super) fn held(row: &PgRow) -> sqlx::Result<HeldBatch> {
    Ok(HeldBatch {
        id: row.try_get("id")?,
        token: row.try_get("lock_token")?,
        tenant: TenantId(row.try_get("tenant_id")?),
        started_by: UserId(row.try_get("started_by")?),
        interval_ms: row.try_get::<i32, _>("interval_ms")?.unsigned_abs(),
    })
}

/// A row of [`BATCH`].
pub(super) fn batch(row: &PgRow, items: Vec<BatchItemView>) -> sqlx::Result<BatchView> {
    let status: String = row.try_get("status")?;
    let view = BatchView {
        job_id: row.try_get("id")?,
        status: BatchStatus::from_word(&status).ok_or_else(|| unknown(&status))?,
        total: 0,
        ok_count: 0,
        fail_count: 0,
        pending_count: 0,
        cancelled_count: 0,
        interval_ms: row.try_get::<i32, _>("interval_ms")?.unsigned_abs(),
        waiting_until: stamp(row, "waiting_until")?,
        waiting_for: row.try_get("waiting_for")?,
        created_at: Stamp(row.try_get("created_at")?),
        started_at: stamp(row, "started_at")?,
        finished_at: stamp(row, "finished_at")?,
        items,
    };
    Ok(view.counted())
}

/// A row of [`ITEMS`].
pub(super) fn item(row: &PgRow) -> sqlx::Result<BatchItemView> {
    let state: String = row.try_get("state")?;
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    Ok(BatchItemView {
        index: row.try_get::<i32, _>("n")?.unsigned_abs(),
        name: text("name")?.unwrap_or_default(),
        language: text("language")?.unwrap_or_default(),
        state: ItemState::from_word(&state).ok_or_else(|| unknown(&state))?,
        template_id: row.try_get::<Option<Uuid>, _>("template_id")?.map(TemplateId),
        code: text("code")?,
        error: text("error")?,
        problems: row.try_get::<Option<Json<Vec<Problem>>>, _>("problems")?.map(|it| it.0).unwrap_or_default(),
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        finished_at: stamp(row, "finished_at")?,
    })
}

fn stamp(row: &PgRow, name: &str) -> sqlx::Result<Option<Stamp>> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(name)?.map(Stamp))
}

fn unknown(word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`{word}` is no state").into())
}
