//! The parts of an append's statement. A part whose columns are empty is left out: most commands need two or
//! three, and what is not there costs nothing. `refused` holds the commands whose key is known or whose lease is
//! lost: nothing else of them is written. What changes rows of the outbox tells its log in the same breath. The final
//! select reads `appended` first, so that the insert into `events` is the statement's first write.

pub(super) const KEYS: &str =
    "keys as (select * from unnest({1}::int[], {2}::uuid[], {3}::text[], {4}::text[], {5}::text[])
            as k(command, tenant, key, stream, reference)
), taken as (
    insert into once (tenant_id, key, stream, reference) select tenant, key, stream, reference from keys
    on conflict do nothing returning tenant_id, key
)";
pub(super) const KEYS_REFUSED: &str = "select k.command, 'key' as reason from keys k
     where not exists (select from taken t where t.tenant_id = k.tenant and t.key = k.key)";

pub(super) const LEASES: &str =
    "leases as (select * from unnest({1}::int[], {2}::bigint[], {3}::uuid[]) as c(command, id, token)
), held as (
    delete from outbox o using leases c where o.id = c.id and o.lease_token = c.token
    returning o.id, o.tenant_id, o.bucket, o.lane, o.message_id, o.retry, o.attempts, o.created_at
), held_log as (
    insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, attempts, queued_at)
    select tenant_id, bucket, lane, message_id, retry, 'sent', attempts, created_at from held
)";
pub(super) const LEASES_REFUSED: &str =
    "select c.command, 'lease' as reason from leases c where not exists (select from held h where h.id = c.id)";

pub(super) const GRAVES: &str = "graves as (
    select * from unnest({1}::int[], {2}::bigint[], {3}::uuid[], {4}::text[], {5}::bigint[], {6}::text[])
                  as g(command, id, token, error, code, class)
), buried as (
    update outbox o set state = 4, leaving = false, due_at = now(), last_error = g.error, error_code = g.code, error_class = g.class,
           lease_token = null, lease_until = null
      from graves g where o.id = g.id and o.lease_token = g.token
    returning o.id, o.tenant_id, o.bucket, o.lane, o.message_id, o.retry, o.attempts, o.created_at, g.code, g.class, g.error
), buried_log as (
    insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, attempts, queued_at, code, class, reason)
    select tenant_id, bucket, lane, message_id, retry, 'dead', attempts, created_at, code, class, error from buried
)";
pub(super) const GRAVES_REFUSED: &str =
    "select g.command, 'lease' as reason from graves g where not exists (select from buried b where b.id = g.id)";

pub(super) const RECIPIENTS: &str = "recipients as (
    select * from unnest({1}::int[], {2}::uuid[], {3}::int[], {4}::uuid[], {5}::uuid[]) as t(command, bulk, number, token, message)
), handed as (
    update bulk_recipients r set state = 2, message_id = t.message, lease_token = null, lease_until = null
      from recipients t where r.bulk_send_id = t.bulk and r.number = t.number and r.lease_token = t.token
    returning r.bulk_send_id, r.number
)";
pub(super) const RECIPIENTS_REFUSED: &str = "select t.command, 'lease' as reason from recipients t
     where not exists (select from handed h where h.bulk_send_id = t.bulk and h.number = t.number)";

pub(super) const EVENTS: &str = "appended as (
    insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
    select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload::json, e.metadata::json
      from unnest({1}::int[], {2}::text[], {3}::text[], {4}::bigint[], {5}::text[], {6}::text[], {7}::text[], {8}::text[])
           with ordinality as e(command, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, n)
     {unless_refused} order by n
    returning aggregate_id, aggregate_type, log_epoch, transaction_id, global_position
)";

pub(super) const MARKS: &str = "marked as (
    insert into once (tenant_id, key, stream, reference)
    select m.tenant, m.key, m.stream, m.reference
      from unnest({1}::int[], {2}::uuid[], {3}::text[], {4}::text[], {5}::text[]) as m(command, tenant, key, stream, reference)
     {unless_refused}
    on conflict do nothing
)";

pub(super) const ABOUT: &str = "about as (
    insert into contact_streams (tenant_id, contact_id, aggregate_type, aggregate_id)
    select a.tenant, a.contact, a.aggregate_type, a.aggregate_id
      from unnest({1}::int[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::text[])
           as a(command, tenant, contact, aggregate_type, aggregate_id)
     {unless_refused}
    on conflict do nothing
)";

pub(super) const TOLD: &str = "told as (
    delete from outbox o using unnest({1}::uuid[], {2}::uuid[], {3}::int[]) as t(tenant, message, retry)
     where o.message_id = t.message and o.tenant_id = t.tenant and o.retry = t.retry
    returning o.tenant_id, o.bucket, o.lane, o.message_id, o.retry, o.attempts, o.created_at
), told_log as (
    insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, attempts, queued_at)
    select tenant_id, bucket, lane, message_id, retry, 'settled', attempts, created_at from told
)";

/// A message with a token is claimed by it, when nothing of its lane is on its way: see `outbox::handoff`. It is in no
/// queue, and the log tells of it when something comes of it: see `outbox::queue_log`. Each lane is looked up on its own
/// (`limit`): all at once, the planner would read the whole outbox.
pub(super) const SENDS: &str = "sends as (
    insert into outbox (tenant_id, lane, bucket, message_id, priority, recipient, content, expires_at, retry,
                        state, attempts, lease_token, lease_until)
    select s.tenant, s.lane, s.bucket, s.message, s.priority, s.recipient::json, s.content::json, now() + {9}::interval, s.retry,
           s.claimed::int, s.claimed::int, case when s.claimed then s.token end,
           case when s.claimed then now() + interval '1 second' * {12} end
      from (select u.*, u.token is not null and before.id is null as claimed
              from unnest({1}::int[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::uuid[], {6}::smallint[], {7}::text[],
                          {8}::text[], {10}::int[], {11}::uuid[])
                   with ordinality as u(command, tenant, lane, bucket, message, priority, recipient, content, retry, token, n)
                   left join lateral (
                       select b.id from outbox b where b.lane = u.lane and b.state <> 4 and u.token is not null
                        order by b.id limit 1) as before on true
           ) as s
     {unless_refused} order by n {again}
    returning id, lease_token, tenant_id, bucket, lane, message_id, retry, created_at
), sends_log as (
    insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, queued_at)
    select tenant_id, bucket, lane, message_id, retry, case when retry = 0 then 'queued' else 'retried' end, created_at
      from sends where lease_token is null
)";
/// A dead letter comes to life as a new row would: behind whatever its conversation has sent meanwhile.
pub(super) const SENDS_AGAIN: &str = "on conflict (message_id) do update
       set id = default, bucket = excluded.bucket, priority = excluded.priority, recipient = excluded.recipient,
           content = excluded.content, expires_at = excluded.expires_at, retry = excluded.retry, state = 0, attempts = 0,
           due_at = now(), created_at = now(), resent = false, last_error = null, error_code = null, error_class = null
     where outbox.state = 4";

pub(super) const LATER: &str = "later as (
    insert into jobs (tenant_id, key, work, run_at)
    select j.tenant, j.key, j.work::json, j.run_at
      from unnest({1}::int[], {2}::uuid[], {3}::text[], {4}::text[], {5}::timestamptz[]) as j(command, tenant, key, work, run_at)
     {unless_refused}
    on conflict (key) do update
       set work = excluded.work, run_at = excluded.run_at, attempts = 0, locked_until = null, lock_token = null, dead = false
)";

/// An appointment has one slot: what it takes up now is in place of what it took up before. Another one's fails the
/// statement. Whoever takes the same resource up waits for a lock first: two that insert what excludes each other would
/// wait for each other, until the database notices.
pub(super) const SLOTS: &str = "slots as (
    insert into appointment_slots (tenant_id, appointment_id, resource, taken_from, free_from, span)
    select s.tenant, s.appointment, s.resource, s.taken_from, s.free_from, numrange(s.first::numeric, s.until::numeric)
      from (select * from unnest({1}::int[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::timestamptz[], {6}::timestamptz[],
                                 {7}::text[], {8}::text[])
                       as u(command, tenant, appointment, resource, taken_from, free_from, first, until)
             {unless_refused} order by first) as s
           cross join lateral (
               select pg_advisory_xact_lock(hashtextextended('slot/' || s.tenant || '/' || s.resource, 0))) as in_turn
    on conflict (tenant_id, appointment_id) do update
       set resource = excluded.resource, taken_from = excluded.taken_from, free_from = excluded.free_from,
           span = excluded.span
)";

pub(super) const LEFT: &str = "gone as (
    delete from appointment_slots a
     using (select * from unnest({1}::int[], {2}::uuid[], {3}::uuid[]) as u(command, tenant, appointment)
             {unless_refused}) as g
     where a.tenant_id = g.tenant and a.appointment_id = g.appointment
)";

pub(super) const APPENDED: &str =
    "select aggregate_id, aggregate_type, log_epoch, transaction_id::text, global_position,
       null::int as command, null::text as reason, null::uuid as token, null::bigint as claimed from appended";
pub(super) const REFUSED: &str =
    " union all select null, null, null, null, null, command, reason, null, null from refused";
pub(super) const CLAIMED: &str = " union all select null, null, null, null, null, null, null, lease_token, id from sends where lease_token is not null";
pub(super) const UNLESS_REFUSED: &str = "where command not in (select command from refused)";
