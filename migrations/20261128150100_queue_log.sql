-- What happened to rows of the outbox: append-only, kept for 30 days. Written by the statement that does it, so it
-- costs no round trip. No words of a message and no address stand in it.
create table queue_log (
    id          bigint      generated always as identity primary key,
    tenant_id   uuid        not null,
    line        text        not null,
    lane        uuid        not null,
    message_id  uuid        not null,
    retry       integer     not null default 0,
    outcome     text        not null,
    attempts    integer     not null default 0,
    queued_at   timestamptz not null,
    code        bigint,
    class       text,
    reason      text,
    next_try_at timestamptz,
    at          timestamptz not null default now()
);
create index queue_log_tenant on queue_log (tenant_id, id);
create index queue_log_message on queue_log (message_id);
-- What is old lies together.
create index queue_log_at on queue_log using brin (at);

-- A message that failed may be sent once more by a person: which try a row is. Its last error, by code and class.
alter table outbox
    add column retry       integer not null default 0,
    add column error_code  bigint,
    add column error_class text;
-- Dead letters, by when somebody last asked for them. Nothing else is in it.
create index outbox_dead on outbox (tenant_id, due_at, id) where state = 4;
