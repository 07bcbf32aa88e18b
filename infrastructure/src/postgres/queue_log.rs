//! Reads the log of the queue.

use application::error::{AppError, AppResult};
use application::monitoring::queue_log::{QueueLog, QueueLogFilter, QueueLogRow, QueueOutcome};
use application::page::{Cursor, Page, PageRequest};
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::shared::ids::TenantId;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, QueryBuilder, Row};

use crate::postgres::app_error;
use crate::postgres::delivery::before;

/// The log of the queue in Postgres.
pub struct PgQueueLog {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl QueueLog for PgQueueLog {
    async fn page(
        &self,
        tenant: TenantId,
        filter: &QueueLogFilter,
        page: &PageRequest,
    ) -> AppResult<Page<QueueLogRow>> {
        let mut query = wanted(tenant, filter);
        if let Some(before) = before(page.after.as_ref())? {
            query.push(" and id < ").push_bind(before);
        }
        query.push(" order by id desc limit ").push_bind(i64::from(page.limit) + 1);
        let mut rows = query.build().fetch_all(&self.pool).await.map_err(app_error)?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        let cursor = |row: &PgRow| Ok(Cursor { sort: row.try_get::<i64, _>("id")?.to_string(), key: String::new() });
        let next = rows.last().filter(|_| more).map(cursor).transpose().map_err(app_error)?;
        Ok(Page { rows: rows.iter().map(logged).collect::<AppResult<_>>()?, next, total: None })
    }
}

/// Only the conditions that are asked for, so that the right index is found.
fn wanted(tenant: TenantId, filter: &QueueLogFilter) -> QueryBuilder<'static, Postgres> {
    let mut query = QueryBuilder::new(
        "select id, at, outcome, message_id, lane, line, attempts, retry, code, class, reason, next_try_at,
                extract(epoch from at - queued_at)::float8 * 1000 as waited_ms
           from queue_log where tenant_id = ",
    );
    query.push_bind(tenant.0);
    if let Some(line) = &filter.line {
        query.push(" and line = ").push_bind(line.clone());
    }
    if let Some(message) = filter.message {
        query.push(" and message_id = ").push_bind(message.0);
    }
    if let Some(outcome) = filter.outcome {
        query.push(" and outcome = ").push_bind(outcome.as_str());
    }
    if let Some(from) = filter.from {
        query.push(" and at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        // Times are shown in milliseconds: whatever is shown as this one is in.
        query.push(" and at < ").push_bind(to.trunc_subsecs(3) + TimeDelta::milliseconds(1));
    }
    query
}

fn logged(row: &PgRow) -> AppResult<QueueLogRow> {
    let outcome: String = row.try_get("outcome").map_err(app_error)?;
    let outcome = QueueOutcome::from_word(&outcome)
        .ok_or_else(|| AppError::internal(format!("`{outcome}` is no outcome this build knows")))?;
    read(row, outcome).map_err(app_error)
}

fn read(row: &PgRow, outcome: QueueOutcome) -> sqlx::Result<QueueLogRow> {
    Ok(QueueLogRow {
        at: Stamp(row.try_get("at")?),
        outcome,
        message_id: row.try_get("message_id")?,
        conversation_id: row.try_get("lane")?,
        phone_number_id: row.try_get("line")?,
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        retries: row.try_get::<i32, _>("retry")?.unsigned_abs(),
        waited_ms: row.try_get::<f64, _>("waited_ms")?.max(0.0) as u64,
        code: row.try_get("code")?,
        class: row.try_get("class")?,
        reason: row.try_get("reason")?,
        next_try_at: row.try_get::<Option<DateTime<Utc>>, _>("next_try_at")?.map(Stamp),
    })
}
