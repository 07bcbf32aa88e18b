-- Many templates submitted one after the other. A job is held by one worker at a time (locked_until, lock_token), so one
-- of its items is on its way at most; next_at paces it. Everything a restart needs is here.
create table template_batches (
    id           uuid        primary key,
    tenant_id    uuid        not null references users,
    started_by   uuid        not null,
    interval_ms  integer     not null,
    status       text        not null default 'pending'
                 check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    next_at      timestamptz not null default now(),
    -- What it waits for beyond its interval, until next_at.
    waiting_for  text,
    locked_until timestamptz,
    lock_token   uuid,
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    finished_at  timestamptz
);
create index template_batches_due on template_batches (next_at) where finished_at is null;

create table template_batch_items (
    batch_id    uuid     not null references template_batches on delete cascade,
    n           integer  not null,
    template    json     not null,
    state       text     not null default 'pending'
                check (state in ('pending', 'submitting', 'submitted', 'already_there', 'failed', 'cancelled')),
    attempts    integer  not null default 0,
    template_id uuid,
    code        text,
    error       text,
    problems    json,
    finished_at timestamptz,
    primary key (batch_id, n)
);
