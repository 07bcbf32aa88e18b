-- How far each projection came. The row's lock is the fence: who cannot take it projects nothing.
create table projections (
    name        text        primary key,
    generation  integer     not null default 1,
    status      text        not null default 'running' check (status in ('running', 'halted')),
    log_epoch   smallint    not null default 0,
    transaction_id xid8     not null default '0',
    position    bigint      not null default 0,
    events_done bigint      not null default 0,
    error       text,
    updated_at  timestamptz not null default now()
);
