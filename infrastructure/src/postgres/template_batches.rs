//! Jobs that submit many templates, with their items. A job is held by lease; every write of a worker asks for it, so
//! that one whose lease ran out changes nothing any more.

mod rows;

use application::actor::Session;
use application::error::{AppError, AppResult};
use application::templates::batch::views::BatchView;
use application::templates::batch::{BatchStore, HeldBatch, HeldItem, Outcome, Wait};
use application::templates::submit::NewTemplate;
use async_trait::async_trait;
use domain::shared::ids::TenantId;
use domain::template::batch::BatchStatus;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};

/// Jobs in Postgres.
pub struct PgTemplateBatches {
    /// The database.
    pub pool: PgPool,
}

/// Takes leases. Longer than a submission takes with everything that can go wrong in it.
const CLAIM: &str = "
with due as (
    select id from template_batches
     where finished_at is null and next_at <= now() and (locked_until is null or locked_until < now())
     order by next_at limit $1 for update skip locked)
update template_batches b set locked_until = now() + interval '120 seconds', lock_token = gen_random_uuid()
  from due where b.id = due.id
returning b.id, b.lock_token, b.tenant_id, b.started_by, b.interval_ms";

/// $1: the job; $2: the lease. Of a job that was stopped, only an item that had been begun is left.
const BEGIN: &str = "
with held as (
    update template_batches
       set status = case status when 'pending' then 'running' else status end, started_at = coalesce(started_at, now()),
           waiting_for = null
     where id = $1 and lock_token = $2 returning id, status),
next as (
    select i.n from template_batch_items i join held on held.id = i.batch_id
     where i.state in ('pending', 'submitting') order by i.n limit 1 for update of i)
update template_batch_items i set state = 'submitting', attempts = attempts + 1
  from next where i.batch_id = $1 and i.n = next.n and i.state in ('pending', 'submitting')
returning i.n, i.attempts, i.template, (select status = 'cancelled' from held) as stopped";

/// $1: the job; $2: the lease; $3: whether it goes on at once.
const FINISH: &str = "
update template_batches b
   set status = case when b.status = 'cancelled' then b.status
                     when exists (select from template_batch_items i
                                   where i.batch_id = b.id and i.state in ('submitted', 'already_there')) then 'completed'
                     else 'failed' end,
       finished_at = now(), locked_until = null, lock_token = null, waiting_for = null
 where b.id = $1 and b.lock_token = $2
   and not exists (select from template_batch_items i where i.batch_id = b.id and i.state in ('pending', 'submitting'))";

#[async_trait]
impl BatchStore for PgTemplateBatches {
    async fn create(&self, session: &Session, id: Uuid, interval_ms: u32, templates: &[NewTemplate]) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "template_batch").await?;
        sqlx::query("insert into template_batches (id, tenant_id, started_by, interval_ms) values ($1, $2, $3, $4)")
            .bind(id)
            .bind(session.tenant.0)
            .bind(session.user.0)
            .bind(i32::try_from(interval_ms).unwrap_or(i32::MAX))
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        let items = templates.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(AppError::internal)?;
        sqlx::query(
            "insert into template_batch_items (batch_id, n, template)
             select $1, n - 1, template::json from unnest($2::text[]) with ordinality as t(template, n)",
        )
        .bind(id)
        .bind(items)
        .execute(tx.conn())
        .await
        .map_err(app_error)?;
        let names: Vec<&str> = templates.iter().map(|it| it.name.as_str()).collect();
        let details = json!({ "templates": names, "intervalMs": interval_ms });
        tx.commit(AuditEntry::of(session, "template_batch.started", id.to_string(), details)).await
    }

    async fn get(&self, tenant: TenantId, id: Uuid) -> AppResult<Option<BatchView>> {
        let row = sqlx::query(rows::BATCH).bind(id).bind(tenant.0).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(app_error)? else { return Ok(None) };
        let items = sqlx::query(rows::ITEMS).bind(id).try_map(|row: PgRow| rows::item(&row));
        let items = items.fetch_all(&self.pool).await.map_err(app_error)?;
        rows::batch(&row, items).map(Some).map_err(app_error)
    }

    async fn cancel(&self, session: &Session, id: Uuid) -> AppResult<bool> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let (stopped, items) = stop(tx.conn(), session.tenant.0, Some(id)).await.map_err(app_error)?;
        if stopped == 0 {
            return Ok(false);
        }
        let details = json!({ "cancelled": items });
        tx.commit(AuditEntry::of(session, "template_batch.cancelled", id.to_string(), details)).await?;
        Ok(true)
    }

    async fn claim(&self, limit: u32) -> AppResult<Vec<HeldBatch>> {
        let query = sqlx::query(CLAIM).bind(i64::from(limit)).try_map(|row: PgRow| rows::held(&row));
        query.fetch_all(&self.pool).await.map_err(app_error)
    }

    async fn begin(&self, batch: &HeldBatch) -> AppResult<Option<HeldItem>> {
        let row = sqlx::query(BEGIN).bind(batch.id).bind(batch.token).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(app_error)? else { return Ok(None) };
        let template: Json<NewTemplate> = row.try_get("template").map_err(app_error)?;
        let number = |name: &str| Ok::<_, AppError>(row.try_get::<i32, _>(name).map_err(app_error)?.unsigned_abs());
        let stopped = row.try_get("stopped").map_err(app_error)?;
        Ok(Some(HeldItem { index: number("n")?, attempts: number("attempts")?, stopped, template: template.0 }))
    }

    async fn conclude(&self, batch: &HeldBatch, item: &HeldItem, outcome: &Outcome) -> AppResult<()> {
        let mut tx = self.pool.begin().await.map_err(app_error)?;
        if !rest(&mut tx, batch, f64::from(batch.interval_ms) / 1_000.0, None).await? {
            return Ok(());
        }
        let failure = outcome.failure.as_ref();
        let problems = failure.map(|it| &it.problems).filter(|all| !all.is_empty());
        sqlx::query(
            "update template_batch_items
                set state = $3, template_id = $4, code = $5, error = $6, problems = $7, finished_at = now()
              where batch_id = $1 and n = $2",
        )
        .bind(batch.id)
        .bind(i32::try_from(item.index).unwrap_or(i32::MAX))
        .bind(outcome.state.as_str())
        .bind(outcome.template_id.map(|id| id.0))
        .bind(failure.map(|it| &it.code))
        .bind(failure.map(|it| &it.message))
        .bind(problems.map(Json))
        .execute(&mut *tx)
        .await
        .map_err(app_error)?;
        sqlx::query(FINISH).bind(batch.id).bind(batch.token).execute(&mut *tx).await.map_err(app_error)?;
        release(&mut tx, batch).await?;
        tx.commit().await.map_err(app_error)
    }

    async fn put_off(&self, batch: &HeldBatch, item: &HeldItem, wait: &Wait) -> AppResult<()> {
        let mut tx = self.pool.begin().await.map_err(app_error)?;
        if !rest(&mut tx, batch, wait.seconds as f64, Some(&wait.why)).await? {
            return Ok(());
        }
        // Nothing of it left, so that it may still be stopped; or it may have, and is looked for before it is stopped.
        sqlx::query(
            "update template_batch_items i
                set state = case when $3 then 'submitting' when b.status = 'cancelled' then 'cancelled' else 'pending' end,
                    attempts = attempts - case when $3 then 0 else 1 end, error = $4,
                    finished_at = case when not $3 and b.status = 'cancelled' then now() end
               from template_batches b
              where b.id = i.batch_id and i.batch_id = $1 and i.n = $2",
        )
        .bind(batch.id)
        .bind(i32::try_from(item.index).unwrap_or(i32::MAX))
        .bind(wait.counts)
        .bind(&wait.why)
        .execute(&mut *tx)
        .await
        .map_err(app_error)?;
        sqlx::query(FINISH).bind(batch.id).bind(batch.token).execute(&mut *tx).await.map_err(app_error)?;
        release(&mut tx, batch).await?;
        tx.commit().await.map_err(app_error)
    }

    async fn finish(&self, batch: &HeldBatch) -> AppResult<()> {
        let mut connection = self.pool.acquire().await.map_err(app_error)?;
        sqlx::query(FINISH).bind(batch.id).bind(batch.token).execute(&mut *connection).await.map_err(app_error)?;
        release(&mut connection, batch).await
    }
}

/// Stops a job of an account, or all of them: how many, and how many items will never be submitted. An item that is on
/// its way is waited for; a job without one is over now.
pub(super) async fn stop(conn: &mut PgConnection, tenant: Uuid, job: Option<Uuid>) -> Result<(u64, u64), sqlx::Error> {
    let stopped: Vec<Uuid> = sqlx::query_scalar(
        "update template_batches set status = 'cancelled', next_at = least(next_at, now()), waiting_for = null
          where tenant_id = $1 and ($2::uuid is null or id = $2) and status = any($3) returning id",
    )
    .bind(tenant)
    .bind(job)
    .bind(going_on())
    .fetch_all(&mut *conn)
    .await?;
    let items = sqlx::query(
        "update template_batch_items set state = 'cancelled', finished_at = now()
          where batch_id = any($1) and state = 'pending'",
    );
    let items = items.bind(&stopped).execute(&mut *conn).await?;
    sqlx::query(
        "update template_batches set finished_at = now() where id = any($1) and not exists (
            select from template_batch_items i where i.batch_id = id and i.state = 'submitting')",
    )
    .bind(&stopped)
    .execute(conn)
    .await?;
    Ok((stopped.len() as u64, items.rows_affected()))
}

/// The statuses of jobs that go on.
fn going_on() -> Vec<&'static str> {
    BatchStatus::ALL.iter().filter(|status| status.goes_on()).map(|status| status.as_str()).collect()
}

/// Lets a job rest for a while; false when its lease was lost.
async fn rest(
    connection: &mut PgConnection,
    batch: &HeldBatch,
    seconds: f64,
    waiting_for: Option<&str>,
) -> AppResult<bool> {
    let rested = sqlx::query(
        "update template_batches set next_at = now() + interval '1 second' * $3, waiting_for = $4
          where id = $1 and lock_token = $2",
    )
    .bind(batch.id)
    .bind(batch.token)
    .bind(seconds)
    .bind(waiting_for)
    .execute(connection)
    .await
    .map_err(app_error)?;
    Ok(rested.rows_affected() > 0)
}

/// Gives the lease back.
async fn release(connection: &mut PgConnection, batch: &HeldBatch) -> AppResult<()> {
    sqlx::query("update template_batches set locked_until = null, lock_token = null where id = $1 and lock_token = $2")
        .bind(batch.id)
        .bind(batch.token)
        .execute(connection)
        .await
        .map(drop)
        .map_err(app_error)
}
