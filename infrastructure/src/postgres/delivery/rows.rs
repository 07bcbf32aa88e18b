//! Messages as the monitor lists them, and where one of them is.

use application::monitoring::ports::Whereabouts;
use application::monitoring::views::{DeliveryRow, Explained, QueueRow, QueueState};
use application::time::Stamp;
use chrono::{DateTime, Utc};
use domain::shared::ids::ConversationId;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// $1: the account; $2: rows; $3 and $4: the row before.
pub(super) const FAILED: &str = "
select m.key::uuid as message_id, m.conversation_id::uuid as conversation_id, c.body ->> 'phoneNumberId' as line,
       c.body ->> 'waPhoneNumber' as phone, m.wanted_at::timestamptz as queued_at, o.state, o.leaving, o.attempts,
       null::timestamptz as next_at, (m.body #>> '{error,code}')::bigint as code, m.body #>> '{error,class}' as class,
       m.body #>> '{error,title}' as title, m.wanted_at as sort, m.key
  from message_view m
  join conversation_view c on c.tenant_id = m.tenant_id and c.key = m.conversation_id
  left join outbox o on o.message_id = m.key::uuid
 where m.tenant_id = $1 and m.failed and ($3::text is null or (m.wanted_at, m.key) < ($3, $4))
 order by m.wanted_at desc, m.key desc limit $2";

macro_rules! waiting {
    ($which:literal, $next:literal) => {
        concat!(
            "select o.message_id, o.lane as conversation_id, o.bucket as line, o.recipient ->> 'phone' as phone,
                    o.created_at as queued_at, o.state, o.leaving, o.attempts, ",
            $next,
            " as next_at, o.error_code as code, o.error_class as class, o.last_error as title, o.id::text as sort, '' as key
               from outbox o
              where o.tenant_id = $1 and ($3::bigint is null or o.id < $3) and ",
            $which,
            " order by o.id desc limit $2"
        )
    };
}

/// $1: the account; $2: rows; $3: the row before; $4: stale before.
pub(super) const STALE: &str = waiting!("o.state = 0 and o.created_at < $4", "o.due_at");
/// $1: the account; $2: rows; $3: the row before.
pub(super) const DOUBTFUL: &str = waiting!("o.state = 3", "o.lease_until");

/// $1: the account; $2: the message.
pub(super) const FIND: &str = "
select coalesce(o.lane, m.conversation_id::uuid) as conversation_id,
       coalesce(o.bucket, c.body ->> 'phoneNumberId', '') as line, o.state, o.leaving, o.attempts, o.retry, o.resent,
       case when o.state in (1, 3) then o.lease_until else o.due_at end as due_at, o.expires_at, o.created_at as queued_at,
       o.error_code as code, o.error_class as class, o.last_error as title,
       (select count(*) from outbox b where b.lane = o.lane and b.id < o.id and b.state <> 4) as ahead
  from (select $2::uuid as id) w
  left join outbox o on o.tenant_id = $1 and o.message_id = w.id
  left join message_view m on m.tenant_id = $1 and m.key = w.id::text and m.body ->> 'direction' = 'outbound'
  left join conversation_view c on c.tenant_id = $1 and c.key = m.conversation_id
 where o.id is not null or m.key is not null";

/// A row of [`FAILED`], [`STALE`] or [`DOUBTFUL`].
pub(super) fn listed(row: &PgRow) -> sqlx::Result<DeliveryRow> {
    let attempts: Option<i32> = row.try_get("attempts")?;
    Ok(DeliveryRow {
        message_id: row.try_get("message_id")?,
        conversation_id: row.try_get("conversation_id")?,
        phone_number_id: row.try_get("line")?,
        wa_phone_number: row.try_get("phone")?,
        queued_at: Stamp(row.try_get("queued_at")?),
        state: row_state(row)?,
        attempts: attempts.map(i32::unsigned_abs),
        next_at: row.try_get::<Option<DateTime<Utc>>, _>("next_at")?.map(Stamp),
        error: explained(row)?,
    })
}

/// A row of [`FIND`].
pub(super) fn whereabouts(row: &PgRow) -> sqlx::Result<Whereabouts> {
    let line: String = row.try_get("line")?;
    let queue = row_state(row)?.map(|state| queue_row(row, state, &line)).transpose()?;
    Ok(Whereabouts { conversation: ConversationId(row.try_get("conversation_id")?), line, row: queue })
}

fn queue_row(row: &PgRow, state: QueueState, line: &str) -> sqlx::Result<QueueRow> {
    let error = explained(row)?;
    let held_up_by: Option<String> = row.try_get("title")?;
    Ok(QueueRow {
        state,
        phone_number_id: line.to_owned(),
        queued_at: Stamp(row.try_get("queued_at")?),
        attempts: row.try_get::<i32, _>("attempts")?.unsigned_abs(),
        retry: row.try_get::<i32, _>("retry")?.unsigned_abs(),
        resent: row.try_get("resent")?,
        due_at: Stamp(row.try_get::<Option<DateTime<Utc>>, _>("due_at")?.unwrap_or_default()),
        expires_at: Stamp(row.try_get("expires_at")?),
        ahead: row.try_get::<i64, _>("ahead")?.unsigned_abs(),
        held_up_by: held_up_by.filter(|_| error.is_none()),
        error,
    })
}

/// The error, when it is one of a channel's classes; what only held the message up is none.
fn explained(row: &PgRow) -> sqlx::Result<Option<Explained>> {
    let (code, class): (Option<i64>, Option<String>) = (row.try_get("code")?, row.try_get("class")?);
    let title: Option<String> = row.try_get("title")?;
    Ok(class.map(|class| Explained::new(code.unwrap_or_default(), &class, title.unwrap_or_default())))
}

/// The state of a row of the outbox, where there is one.
pub(super) fn row_state(row: &PgRow) -> sqlx::Result<Option<QueueState>> {
    let (state, leaving): (Option<i16>, Option<bool>) = (row.try_get("state")?, row.try_get("leaving")?);
    Ok(state.map(|number| match number {
        0 => QueueState::Waiting,
        1 if leaving == Some(true) => QueueState::InFlight,
        1 => QueueState::Claimed,
        3 => QueueState::InDoubt,
        _ => QueueState::Dead,
    }))
}
