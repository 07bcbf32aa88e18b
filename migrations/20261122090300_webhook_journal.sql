-- Webhook bodies as they came, before the 200. Each row belongs to the node that took it in; when that node
-- is gone, another adopts it. state: 0 to do, 1 done, 2 parked with its reason.
create table nodes (
    id          uuid        primary key,
    alive_until timestamptz not null
);

create table webhook_journal (
    id          bigint      generated always as identity primary key,
    source      text        not null,
    body        bytea       not null,
    -- the lines whose secret signed the body
    lines       json        not null,
    owner       uuid        not null,
    state       smallint    not null default 0,
    attempts    integer     not null default 0,
    due_at      timestamptz not null default now(),
    reason      text,
    received_at timestamptz not null default clock_timestamp()
);
create index webhook_journal_todo on webhook_journal (owner, id) where state = 0;
create index webhook_journal_age on webhook_journal (received_at) where state <> 0;

-- Elements of webhooks that did not become events, each with its reason; read again after a fix.
create table parked_elements (
    id          bigint      generated always as identity primary key,
    journal_id  bigint      not null,
    tenant_id   uuid,
    reason      text        not null,
    element     json        not null,
    parked_at   timestamptz not null default now()
);
