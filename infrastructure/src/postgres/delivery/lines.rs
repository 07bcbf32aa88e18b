//! A line with its queue, its day and its incident.

use application::monitoring::views::{DayCounts, IncidentView, LineHealth, LineState};
use application::time::Stamp;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// $1: the account; $2: stale before; $3: counted since, as documents write it; $4: now.
pub(super) const HEALTH: &str = "
with queue as (
    select bucket, count(*) filter (where state = 0) as waiting, count(*) filter (where state = 1) as in_flight,
           count(*) filter (where state = 3) as in_doubt,
           count(*) filter (where state = 0 and created_at < $2) as stale,
           min(created_at) filter (where state = 0) as oldest
      from outbox where tenant_id = $1 and state <> 4 group by bucket
), graves as (
    select bucket, count(*) as dead from outbox where tenant_id = $1 and state = 4 group by bucket
), day as (
    select c.body ->> 'phoneNumberId' as line,
           count(*) filter (where m.body #>> '{statusAt,queued}' is not null) as queued,
           count(*) filter (where m.body #>> '{statusAt,sent}' is not null
                               or m.body ->> 'status' in ('sent', 'delivered', 'read')) as sent,
           count(*) filter (where m.body ->> 'status' in ('delivered', 'read')) as delivered,
           count(*) filter (where m.body ->> 'status' = 'read') as read,
           count(*) filter (where m.failed) as failed
      from message_view m join conversation_view c on c.tenant_id = m.tenant_id and c.key = m.conversation_id
     where m.tenant_id = $1 and m.wanted_at >= $3 group by 1
)
select l.phone_number_id, l.display_phone_number, l.stopped_reason, l.stopped_at is not null as held,
       coalesce(q.waiting, 0) as waiting, coalesce(q.in_flight, 0) as in_flight, coalesce(q.in_doubt, 0) as in_doubt,
       coalesce(q.stale, 0) as stale, coalesce(g.dead, 0) as dead,
       extract(epoch from $4 - q.oldest)::bigint as oldest_waiting_sec,
       coalesce(d.queued, 0) as queued, coalesce(d.sent, 0) as sent, coalesce(d.delivered, 0) as delivered,
       coalesce(d.read, 0) as read, coalesce(d.failed, 0) as failed,
       i.code, i.class, i.title, i.details, i.messages, i.opened_at, i.last_seen_at
  from whatsapp_lines l
  left join queue q on q.bucket = l.phone_number_id
  left join graves g on g.bucket = l.phone_number_id
  left join day d on d.line = l.phone_number_id
  left join incidents i on i.line = l.phone_number_id and i.closed_at is null
 where l.tenant_id = $1 order by l.is_primary desc, l.phone_number_id";

fn count(row: &PgRow, column: &str) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}

/// A row of [`HEALTH`].
pub(super) fn health(row: &PgRow) -> sqlx::Result<LineHealth> {
    let incident = incident(row)?;
    let state = match (row.try_get("held")?, &incident) {
        (false, _) => LineState::Running,
        (true, None) => LineState::Paused,
        (true, Some(_)) => LineState::Stopped,
    };
    let oldest: Option<i64> = row.try_get("oldest_waiting_sec")?;
    Ok(LineHealth {
        phone_number_id: row.try_get("phone_number_id")?,
        display_phone_number: row.try_get("display_phone_number")?,
        state,
        stopped_reason: row.try_get("stopped_reason")?,
        incident,
        waiting: count(row, "waiting")?,
        in_flight: count(row, "in_flight")?,
        in_doubt: count(row, "in_doubt")?,
        stale: count(row, "stale")?,
        dead: count(row, "dead")?,
        oldest_waiting_sec: oldest.map(|seconds| seconds.max(0).unsigned_abs()),
        last24h: DayCounts::new(
            count(row, "queued")?,
            count(row, "sent")?,
            count(row, "delivered")?,
            count(row, "read")?,
            count(row, "failed")?,
        ),
    })
}

fn incident(row: &PgRow) -> sqlx::Result<Option<IncidentView>> {
    let Some(code) = row.try_get("code")? else { return Ok(None) };
    Ok(Some(IncidentView {
        code,
        class: row.try_get("class")?,
        title: row.try_get("title")?,
        details: row.try_get("details")?,
        messages: count(row, "messages")?,
        opened_at: Stamp(row.try_get("opened_at")?),
        last_seen_at: Stamp(row.try_get("last_seen_at")?),
    }))
}
