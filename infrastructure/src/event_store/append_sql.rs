//! The one statement of an append, for any number of commands.

use application::commands::Conclude;
use application::effects::Effect;
use application::log::Position;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use crate::event_store::append::{Append, AppendError, AppendResult};

/// How long a message may wait to be sent before it is dead: a day.
const SEND_WITHIN: &str = "24 hours";

/// `refused` holds the commands whose key is known or whose lease is lost: nothing else of them is written.
/// The final select reads `appended` first, so that the insert into `events` is the statement's first write.
const APPEND: &str = "
with taken as (
    insert into once (tenant_id, key, stream, reference)
    select k.tenant, k.key, k.stream, k.reference
      from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::text[]) as k(command, tenant, key, stream, reference)
    on conflict do nothing
    returning tenant_id, key
), held as (
    delete from outbox o using unnest($6::int[], $7::bigint[], $8::uuid[]) as c(command, id, token)
     where o.id = c.id and o.lease_token = c.token
    returning o.id
), buried as (
    update outbox o set state = 4, last_error = b.error, lease_token = null, lease_until = null
      from unnest($37::int[], $38::bigint[], $39::uuid[], $40::text[]) as b(command, id, token, error)
     where o.id = b.id and o.lease_token = b.token
    returning o.id
), refused as (
    select k.command, 'key' as reason
      from unnest($1::int[], $2::uuid[], $3::text[]) as k(command, tenant, key)
     where not exists (select from taken t where t.tenant_id = k.tenant and t.key = k.key)
    union all
    select c.command, 'lease' from unnest($6::int[], $7::bigint[]) as c(command, id)
     where not exists (select from held h where h.id = c.id)
    union all
    select b.command, 'lease' from unnest($37::int[], $38::bigint[]) as b(command, id)
     where not exists (select from buried d where d.id = b.id)
), appended as (
    insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
    select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload, e.metadata
      from unnest($9::int[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::json[], $16::json[])
           with ordinality as e(command, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, n)
     where e.command not in (select command from refused)
     order by e.n
    returning aggregate_id, aggregate_type, sequence, log_epoch, transaction_id, global_position
), marked as (
    insert into once (tenant_id, key, stream, reference)
    select m.tenant, m.key, m.stream, m.reference
      from unnest($17::int[], $18::uuid[], $19::text[], $20::text[], $21::text[]) as m(command, tenant, key, stream, reference)
     where m.command not in (select command from refused)
    on conflict do nothing
), told as (
    delete from outbox o using unnest($22::uuid[]) as t(message) where o.message_id = t.message
), sends as (
    insert into outbox (tenant_id, lane, bucket, message_id, priority, recipient, content, expires_at)
    select s.tenant, s.lane, s.bucket, s.message, s.priority, s.recipient, s.content, now() + $31::interval
      from unnest($23::int[], $24::uuid[], $25::uuid[], $26::text[], $27::uuid[], $28::smallint[], $29::json[], $30::json[])
           with ordinality as s(command, tenant, lane, bucket, message, priority, recipient, content, n)
     where s.command not in (select command from refused)
     order by s.n
), later as (
    insert into jobs (tenant_id, key, work, run_at)
    select j.tenant, j.key, j.work, j.run_at
      from unnest($32::int[], $33::uuid[], $34::text[], $35::json[], $36::timestamptz[]) as j(command, tenant, key, work, run_at)
     where j.command not in (select command from refused)
    on conflict (key) do update
       set work = excluded.work, run_at = excluded.run_at, attempts = 0, locked_until = null, lock_token = null, dead = false
)
select aggregate_id, aggregate_type, log_epoch, transaction_id::text, global_position, null::int as command, null::text as reason
  from appended
union all
select null, null, null, null, null, command, reason from refused";

/// The columns of `APPEND`, filled command by command.
#[derive(Default)]
struct Columns {
    once: Keys,
    held: (Vec<i32>, Vec<i64>, Vec<Uuid>),
    events: Events,
    mark: Keys,
    told: Vec<Uuid>,
    sends: Sends,
    later: Later,
    buried: (Vec<i32>, Vec<i64>, Vec<Uuid>, Vec<String>),
}

#[derive(Default)]
struct Keys {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    stream: Vec<String>,
    reference: Vec<String>,
}

#[derive(Default)]
struct Events {
    command: Vec<i32>,
    aggregate_type: Vec<String>,
    aggregate_id: Vec<String>,
    sequence: Vec<i64>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    payload: Vec<Value>,
    metadata: Vec<Value>,
}

#[derive(Default)]
struct Later {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    work: Vec<Value>,
    run_at: Vec<DateTime<Utc>>,
}

#[derive(Default)]
struct Sends {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    lane: Vec<Uuid>,
    bucket: Vec<String>,
    message: Vec<Uuid>,
    priority: Vec<i16>,
    recipient: Vec<Value>,
    content: Vec<Value>,
}

impl Columns {
    fn add(&mut self, command: i32, append: &Append) {
        let (tenant, stream) = (append.stream.tenant.0, append.stream.to_string());
        for (keys, list) in [(&mut self.once, &append.once), (&mut self.mark, &append.mark)] {
            for once in list {
                keys.command.push(command);
                keys.tenant.push(tenant);
                keys.key.push(once.key.clone());
                keys.stream.push(stream.clone());
                keys.reference.push(once.reference.clone());
            }
        }
        match &append.conclude {
            Some(Conclude::Leased { id, token }) => {
                self.held.0.push(command);
                self.held.1.push(*id);
                self.held.2.push(*token);
            }
            Some(Conclude::Buried { id, token, error }) => {
                self.buried.0.push(command);
                self.buried.1.push(*id);
                self.buried.2.push(*token);
                self.buried.3.push(error.clone());
            }
            Some(Conclude::Told(message)) => self.told.push(message.0),
            None => {}
        }
        for (sequence, event) in (append.expected + 1..).zip(&append.events) {
            let events = &mut self.events;
            events.command.push(command);
            events.aggregate_type.push(append.aggregate_type.to_owned());
            events.aggregate_id.push(stream.clone());
            events.sequence.push(sequence);
            events.event_type.push(event.event_type.clone());
            events.event_version.push(event.event_version.clone());
            events.payload.push(event.payload.clone());
            events.metadata.push(append.metadata.clone());
        }
        for (n, effect) in append.effects.iter().enumerate() {
            self.add_effect(command, tenant, n, append, effect);
        }
    }

    fn add_effect(&mut self, command: i32, tenant: Uuid, n: usize, append: &Append, effect: &Effect) {
        match effect {
            Effect::Send(dispatch) => {
                let sends = &mut self.sends;
                sends.command.push(command);
                sends.tenant.push(tenant);
                sends.lane.push(dispatch.lane.0);
                sends.bucket.push(dispatch.bucket.clone());
                sends.message.push(dispatch.message_id.0);
                sends.priority.push(dispatch.priority);
                sends.recipient.push(json(&dispatch.recipient));
                sends.content.push(json(&dispatch.content));
            }
            Effect::Later { work, run_at, key } => {
                self.later.command.push(command);
                self.later.tenant.push(tenant);
                let own = || format!("{}:{}:{}:{n}", append.aggregate_type, append.stream, append.expected + 1);
                self.later.key.push(key.clone().unwrap_or_else(own));
                self.later.work.push(json(work));
                self.later.run_at.push(*run_at);
            }
        }
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Writes these commands; an error means that none of them was written.
pub(super) async fn execute(pool: impl PgExecutor<'_>, appends: &[&Append]) -> Result<Vec<AppendResult>, sqlx::Error> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = Columns::default();
    for (command, append) in (0..).zip(appends) {
        columns.add(command, append);
    }
    let Columns { once, held, events, mark, told, sends, later, buried } = columns;
    let rows = sqlx::query(APPEND)
        .bind(once.command)
        .bind(once.tenant)
        .bind(once.key)
        .bind(once.stream)
        .bind(once.reference)
        .bind(held.0)
        .bind(held.1)
        .bind(held.2)
        .bind(events.command)
        .bind(events.aggregate_type)
        .bind(events.aggregate_id)
        .bind(events.sequence)
        .bind(events.event_type)
        .bind(events.event_version)
        .bind(events.payload)
        .bind(events.metadata)
        .bind(mark.command)
        .bind(mark.tenant)
        .bind(mark.key)
        .bind(mark.stream)
        .bind(mark.reference)
        .bind(told)
        .bind(sends.command)
        .bind(sends.tenant)
        .bind(sends.lane)
        .bind(sends.bucket)
        .bind(sends.message)
        .bind(sends.priority)
        .bind(sends.recipient)
        .bind(sends.content)
        .bind(SEND_WITHIN)
        .bind(later.command)
        .bind(later.tenant)
        .bind(later.key)
        .bind(later.work)
        .bind(later.run_at)
        .bind(buried.0)
        .bind(buried.1)
        .bind(buried.2)
        .bind(buried.3)
        .fetch_all(pool)
        .await?;
    let mut results: Vec<AppendResult> = appends.iter().map(|_| Ok(None)).collect();
    for row in rows {
        if let Some(command) = row.try_get::<Option<i32>, _>("command")? {
            let lease = row.try_get::<String, _>("reason")? == "lease";
            let refused = if lease { AppendError::LeaseLost } else { AppendError::KeyTaken };
            if let Some(result) = results.get_mut(usize::try_from(command).unwrap_or(usize::MAX)) {
                *result = Err(refused);
            }
            continue;
        }
        let (stream, kind): (String, String) = (row.try_get("aggregate_id")?, row.try_get("aggregate_type")?);
        let position = Position {
            epoch: row.try_get("log_epoch")?,
            transaction: row.try_get::<String, _>("transaction_id")?.parse().unwrap_or_default(),
            number: row.try_get("global_position")?,
        };
        let of = appends.iter().position(|it| it.aggregate_type == kind && it.stream.to_string() == stream);
        if let Some(Ok(reached)) = of.and_then(|index| results.get_mut(index)) {
            *reached = (*reached).max(Some(position));
        }
    }
    Ok(results)
}
