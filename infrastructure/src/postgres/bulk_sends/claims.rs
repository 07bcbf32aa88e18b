//! Taking recipients of running bulk sends, under a lease, and writing down who of them is not sent to.

use application::bulk::Plan;
use application::bulk::delivery::Skipped;
use application::error::AppResult;
use domain::shared::ids::{BulkSendId, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::app_error;

/// How long a claimed recipient is ours, in seconds; handing one over takes milliseconds.
const LEASE_SEC: i32 = 30;

/// A bulk send under way.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// Its id.
    pub id: BulkSendId,
    /// The account.
    pub tenant: TenantId,
    /// The line.
    pub line: String,
    /// What is sent.
    pub plan: Plan,
}

/// A recipient that is ours.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its number.
    pub number: i32,
    /// The phone.
    pub phone: String,
    /// Body parameters of this one.
    pub params: Option<Vec<String>>,
    /// Whether they opted out meanwhile.
    pub opted_out: bool,
}

/// Bulk sends that run, the oldest first.
///
/// # Errors
/// The database.
pub async fn under_way(pool: &PgPool) -> AppResult<Vec<UnderWay>> {
    let sql =
        "select id, tenant_id, line, plan from bulk_sends where state = 'running' order by created_at, id limit 100";
    let rows: Vec<(Uuid, Uuid, String, serde_json::Value)> =
        sqlx::query_as(sql).fetch_all(pool).await.map_err(app_error)?;
    let read = |(id, tenant, line, plan)| {
        Ok(UnderWay { id: BulkSendId(id), tenant: TenantId(tenant), line, plan: super::plan(plan)? })
    };
    rows.into_iter().map(read).collect()
}

/// How many broadcast messages of a line wait in the outbox, up to `most`. In the order of the index, so that it is
/// walked: gathered as a bitmap, what was sent since the last vacuum would be looked at each time.
///
/// # Errors
/// The database.
pub async fn waiting(pool: &PgPool, line: &str, most: i64) -> AppResult<i64> {
    let sql = "select count(*) from (
                   select from outbox where state = 0 and priority = 1 and bucket = $1
                    order by priority, due_at, id limit $2) as waiting";
    sqlx::query_scalar(sql).bind(line).bind(most).fetch_one(pool).await.map_err(app_error)
}

/// Claims recipients after `after`, as long as their bulk send runs; those whose lease ran out come again. Nobody waits
/// for the commit: one that is lost is claimed again, and takes effect once.
///
/// # Errors
/// The database.
pub async fn claim(
    pool: &PgPool,
    bulk: BulkSendId,
    token: Uuid,
    (after, limit): (i32, i64),
) -> AppResult<Vec<Claimed>> {
    let rows: Vec<(i32, String, Option<Vec<String>>, bool)> = sqlx::query_as(
        "with due as (
            select r.bulk_send_id, r.number from bulk_recipients r
             where r.bulk_send_id = $1 and r.number > $5 and r.state = 0 and (r.lease_until is null or r.lease_until < now())
               and exists (select from bulk_sends b where b.id = $1 and b.state = 'running')
             order by r.number limit $3 for update of r skip locked)
         update bulk_recipients r set lease_token = $2, lease_until = now() + interval '1 second' * $4
           from due cross join (select set_config('synchronous_commit', 'off', true)) as unhurried
          where r.bulk_send_id = due.bulk_send_id and r.number = due.number
         returning r.number, r.phone, r.params,
                   exists (select from opt_outs o where o.is_out and o.tenant_id = r.tenant_id
                              and o.phone_hash = sha256(convert_to(r.tenant_id::text || r.phone, 'UTF8'))) as opted_out",
    )
    .bind(bulk.0)
    .bind(token)
    .bind(limit)
    .bind(LEASE_SEC)
    .bind(after)
    .fetch_all(pool)
    .await
    .map_err(app_error)?;
    let read = |(number, phone, params, opted_out)| Claimed { number, phone, params, opted_out };
    Ok(rows.into_iter().map(read).collect())
}

/// Writes down which claimed recipients are not sent to, and why.
///
/// # Errors
/// The database; their leases run out then, and they come again.
pub async fn skip(pool: &PgPool, bulk: BulkSendId, token: Uuid, skipped: &[(i32, Skipped)]) -> AppResult<()> {
    if skipped.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i32> = skipped.iter().map(|(number, _)| *number).collect();
    let reasons: Vec<&str> = skipped.iter().map(|(_, it)| it.reason).collect();
    let details: Vec<Option<&str>> =
        skipped.iter().map(|(_, it)| Some(&*it.details).filter(|it| !it.is_empty())).collect();
    sqlx::query(
        "update bulk_recipients r
            set state = 3, reason = t.reason, details = t.details, lease_token = null, lease_until = null
           from unnest($3::int[], $4::text[], $5::text[]) as t(number, reason, details)
                cross join (select set_config('synchronous_commit', 'off', true)) as unhurried
          where r.bulk_send_id = $1 and r.number = t.number and r.lease_token = $2",
    )
    .bind(bulk.0)
    .bind(token)
    .bind(numbers)
    .bind(reasons)
    .bind(details)
    .execute(pool)
    .await
    .map(drop)
    .map_err(app_error)
}

/// Completes a bulk send when nobody waits in it any more.
///
/// # Errors
/// The database.
pub async fn complete(pool: &PgPool, bulk: BulkSendId) -> AppResult<()> {
    let sql = "update bulk_sends b set state = 'completed', ended_at = now()
                where b.id = $1 and b.state = 'running'
                  and not exists (select from bulk_recipients r where r.bulk_send_id = b.id and r.state = 0)";
    sqlx::query(sql).bind(bulk.0).execute(pool).await.map(drop).map_err(app_error)
}

/// Drops what was never finished being prepared.
///
/// # Errors
/// The database.
pub async fn forget_unprepared(pool: &PgPool) -> AppResult<()> {
    let forget = "with gone as (
                      delete from bulk_sends where state = 'preparing' and created_at < now() - interval '1 hour' returning id)
                  delete from bulk_recipients r using gone where r.bulk_send_id = gone.id";
    sqlx::query(forget).execute(pool).await.map(drop).map_err(app_error)
}
