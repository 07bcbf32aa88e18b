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

/// Longer than from when a message comes in until something has come of it.
const WAITS_MAX: TimeDelta = TimeDelta::days(2);

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
        if let Some((id, part)) = page.after.as_ref().map(place).transpose()? {
            query.push(" and l.id <= ").push_bind(id);
            query.push(" and (l.id, told.part) < (").push_bind(id).push(", ").push_bind(part).push(")");
        }
        query.push(" order by l.id desc, told.part desc limit ").push_bind(i64::from(page.limit) + 1);
        let mut rows = query.build().fetch_all(&self.pool).await.map_err(app_error)?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        let cursor = |row: &PgRow| {
            let (id, part): (i64, i32) = (row.try_get("id")?, row.try_get("part")?);
            Ok(Cursor { sort: id.to_string(), key: part.to_string() })
        };
        let next = rows.last().filter(|_| more).map(cursor).transpose().map_err(app_error)?;
        Ok(Page { rows: rows.iter().map(logged).collect::<AppResult<_>>()?, next, total: None })
    }
}

/// A row, and what it leaves unsaid: a message that went straight to the sender has none of its own for having come in,
/// and the first that it has says when that was.
const TOLD: &str = "
select l.id, told.part, told.at, told.outcome, l.message_id, l.lane, l.line, told.attempts, l.retry, told.code, told.class,
       told.reason, told.next_try_at, extract(epoch from told.at - l.queued_at)::float8 * 1000 as waited_ms
  from queue_log l cross join lateral (
      select 1 as part, l.at, l.outcome, l.attempts, l.code, l.class, l.reason, l.next_try_at
      union all
      select 0, l.queued_at, 'queued', 0, null, null, null, null
       where l.outcome not in ('queued', 'retried', 'expired')
         and not exists (select from queue_log e where e.message_id = l.message_id and e.id < l.id)) as told
 where l.tenant_id = ";

/// Only the conditions that are asked for, so that the right index is found.
fn wanted(tenant: TenantId, filter: &QueueLogFilter) -> QueryBuilder<'static, Postgres> {
    let mut query = QueryBuilder::new(TOLD);
    query.push_bind(tenant.0);
    if let Some(line) = &filter.line {
        query.push(" and l.line = ").push_bind(line.clone());
    }
    if let Some(message) = filter.message {
        query.push(" and l.message_id = ").push_bind(message.0);
    }
    if let Some(outcome) = filter.outcome {
        query.push(" and told.outcome = ").push_bind(outcome.as_str());
    }
    if let Some(from) = filter.from {
        query.push(" and told.at >= ").push_bind(from).push(" and l.at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        // Times are shown in milliseconds: whatever is shown as this one is in.
        query.push(" and told.at < ").push_bind(to.trunc_subsecs(3) + TimeDelta::milliseconds(1));
        query.push(" and l.at < ").push_bind(to + WAITS_MAX);
    }
    query
}

/// The place a cursor stands for.
fn place(cursor: &Cursor) -> AppResult<(i64, i32)> {
    let bad = |_| AppError::not_our_cursor();
    Ok((cursor.sort.parse().map_err(bad)?, cursor.key.parse().map_err(bad)?))
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
