-- Messages on their way out. lane: a conversation, one message in flight, in order. bucket: the sending line.
-- state: 0 due, 1 claimed, 2 on its way (the request leaves), 3 in doubt (it left and no answer came), 4 dead.
create table outbox (
    id          bigint      generated always as identity primary key,
    tenant_id   uuid        not null,
    lane        uuid        not null,
    bucket      text        not null,
    message_id  uuid        not null unique,
    priority    smallint    not null default 0,
    recipient   json        not null,
    content     json        not null,
    state       smallint    not null default 0,
    attempts    integer     not null default 0,
    due_at      timestamptz not null default now(),
    expires_at  timestamptz not null,
    lease_token uuid,
    lease_until timestamptz,
    resent      boolean     not null default false,
    last_error  text,
    created_at  timestamptz not null default now()
);
create index outbox_due on outbox (priority, due_at, id) where state = 0;
create index outbox_lane on outbox (lane, id) where state in (0, 1, 2, 3);
create index outbox_lease on outbox (lease_until) where state in (1, 2, 3);
alter table outbox set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Work for later: timers of waiting runs, changes a flow asked for elsewhere.
create table jobs (
    id           bigint      generated always as identity primary key,
    tenant_id    uuid        not null,
    key          text        not null unique,
    work         json        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    locked_until timestamptz,
    lock_token   uuid,
    dead         boolean     not null default false,
    last_error   text,
    created_at   timestamptz not null default now()
);
create index jobs_due on jobs (run_at, id) where not dead;
