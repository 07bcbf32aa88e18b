//! How far bulk sends are: what was handed over is counted as the messages themselves stand.

use application::bulk::views::{BulkSendView, RecipientFilter, RecipientView};
use application::error::AppResult;
use application::page::{Cursor, Page, PageRequest};
use application::time::Stamp;
use chrono::{DateTime, Utc};
use domain::shared::ids::{BulkSendId, TenantId};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::plan;
use crate::postgres::app_error;

/// Bulk sends shown when none is named.
const NEWEST: i64 = 50;
/// Fewer when those that are newer have as many recipients: they are counted as they are shown.
const COUNTED: i64 = 100_000;

const LIST: &str = "
select b.id, b.plan, b.line, b.state, b.total, b.created_at, b.ended_at, n.*
  from (select * from (
            select *, sum(total) over (order by created_at desc, id
                                       rows between unbounded preceding and 1 preceding) as newer
              from bulk_sends where tenant_id = $1 and state <> 'preparing' and ($2::uuid is null or id = $2)) as every
         where coalesce(newer, 0) < $4 order by created_at desc, id limit $3) as b
 cross join lateral (
       select count(*) filter (where r.state = 0 and b.state = 'running') as waiting,
              count(*) filter (where r.state = 3 or r.state = 0 and b.state <> 'running') as skipped,
              count(*) filter (where r.state = 2 and coalesce(m.body ->> 'status', 'queued') = 'queued') as queued,
              count(*) filter (where r.state = 2 and m.body ->> 'status' = 'sent') as sent,
              count(*) filter (where r.state = 2 and m.body ->> 'status' = 'delivered') as delivered,
              count(*) filter (where r.state = 2 and m.body ->> 'status' = 'read') as read,
              count(*) filter (where r.state = 2 and m.body ->> 'status' = 'failed') as failed,
              count(*) filter (where (m.body ->> 'possibleDuplicate')::boolean) as doubtful
         from bulk_recipients r left join message_view m on m.tenant_id = $1 and m.key = r.message_id::text
        where r.bulk_send_id = b.id) as n
 order by b.created_at desc, b.id";

const RECIPIENTS: &str = "
select r.number, r.phone, r.reason, r.details, r.message_id, (m.body ->> 'conversationId')::uuid as conversation_id,
       case when r.state = 2 then coalesce(m.body ->> 'status', 'queued')
            when r.state = 3 or b.state <> 'running' then 'skipped' else 'waiting' end as status,
       case when r.state = 0 and b.state <> 'running' then 'cancelled' else r.reason end as why,
       m.body ->> 'text' as template_name, m.body #>> '{error,title}' as error,
       coalesce((m.body ->> 'possibleDuplicate')::boolean, false) as possible_duplicate
  from bulk_sends b join bulk_recipients r on r.bulk_send_id = b.id
  left join message_view m on m.tenant_id = $1 and m.key = r.message_id::text
 where b.tenant_id = $1 and b.id = $2 and r.number > $3 and ($4::smallint is null or r.state = $4)
 order by r.number limit $5";

pub async fn list(pool: &PgPool, tenant: TenantId, id: Option<BulkSendId>) -> AppResult<Vec<BulkSendView>> {
    let query = sqlx::query(LIST).bind(tenant.0).bind(id.map(|id| id.0)).bind(NEWEST).bind(COUNTED);
    let rows = query.fetch_all(pool).await.map_err(app_error)?;
    rows.iter().map(|row| view(row).map_err(app_error)).collect()
}

fn view(row: &sqlx::postgres::PgRow) -> Result<BulkSendView, sqlx::Error> {
    let plan = plan(row.try_get("plan")?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let total: i32 = row.try_get("total")?;
    Ok(BulkSendView {
        id: BulkSendId(row.try_get("id")?),
        status: row.try_get("state")?,
        phone_number_id: row.try_get("line")?,
        template_group_id: plan.content.group_id.map(|id| id.0),
        template_id: plan.content.template_id.map(|id| id.0),
        template_name: Some(plan.content.name).filter(|name| !name.is_empty()),
        flow_id: plan.flow_id,
        total: u64::from(total.unsigned_abs()),
        waiting: count("waiting")?,
        skipped: count("skipped")?,
        queued: count("queued")?,
        sent: count("sent")?,
        delivered: count("delivered")?,
        read: count("read")?,
        failed: count("failed")?,
        doubtful: count("doubtful")?,
        created_at: Stamp(row.try_get::<DateTime<Utc>, _>("created_at")?),
        ended_at: row.try_get::<Option<DateTime<Utc>>, _>("ended_at")?.map(Stamp),
    })
}

pub async fn recipients(
    pool: &PgPool,
    tenant: TenantId,
    id: BulkSendId,
    filter: RecipientFilter,
    page: &PageRequest,
) -> AppResult<Page<RecipientView>> {
    let after = page.after.as_ref().and_then(|cursor| cursor.key.parse::<i32>().ok()).unwrap_or(-1);
    let query = sqlx::query(RECIPIENTS).bind(tenant.0).bind(id.0).bind(after).bind(filter.state);
    let mut found = query.bind(i64::from(page.limit) + 1).fetch_all(pool).await.map_err(app_error)?;
    let more = found.len() > page.limit as usize;
    found.truncate(page.limit as usize);
    let last =
        found.last().filter(|_| more).map(|row| row.try_get::<i32, _>("number")).transpose().map_err(app_error)?;
    let rows = found.iter().map(recipient).collect::<Result<_, _>>().map_err(app_error)?;
    let next = last.map(|number| Cursor { sort: String::new(), key: number.to_string() });
    Ok(Page { rows, next, total: None })
}

fn recipient(row: &sqlx::postgres::PgRow) -> Result<RecipientView, sqlx::Error> {
    Ok(RecipientView {
        phone: row.try_get("phone")?,
        status: row.try_get("status")?,
        reason: row.try_get("why")?,
        details: row.try_get("details")?,
        message_id: row.try_get::<Option<Uuid>, _>("message_id")?,
        conversation_id: row.try_get("conversation_id")?,
        template_name: row.try_get("template_name")?,
        error: row.try_get("error")?,
        possible_duplicate: row.try_get("possible_duplicate")?,
    })
}
