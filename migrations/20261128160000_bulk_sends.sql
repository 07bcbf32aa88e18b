-- One template to many customers. A bulk send is `preparing` while its recipients are written, and sent only after that.
create table bulk_sends (
    id         uuid        primary key,
    tenant_id  uuid        not null,
    plan       json        not null,
    line       text        not null,
    state      text        not null default 'preparing' check (state in ('preparing', 'running', 'completed', 'cancelled')),
    total      integer     not null default 0,
    created_by text        not null,
    created_at timestamptz not null default now(),
    ended_at   timestamptz
);
create index bulk_sends_of_account on bulk_sends (tenant_id, created_at desc, id);
create index bulk_sends_under_way on bulk_sends (created_at, id) where state in ('preparing', 'running');

-- state: 0 waiting, 1 claimed by a sender until lease_until, 2 its message is in the log, 3 skipped for a reason.
create table bulk_recipients (
    bulk_send_id uuid        not null,
    number       integer     not null,
    tenant_id    uuid        not null,
    phone        text        not null,
    params       text[],
    state        smallint    not null default 0,
    reason       text,
    details      text,
    message_id   uuid,
    lease_token  uuid,
    lease_until  timestamptz,
    primary key (bulk_send_id, number)
);
create index bulk_recipients_waiting on bulk_recipients (bulk_send_id, number) where state in (0, 1);
create index bulk_recipients_phone on bulk_recipients (tenant_id, phone);
alter table bulk_recipients set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- Who wants no messages of many: by a hash of account and phone, because it outlives the person's data.
create table opt_outs (
    tenant_id  uuid        not null,
    phone_hash bytea       not null,
    source     text        not null,
    is_out     boolean     not null,
    since      timestamptz not null default now(),
    primary key (tenant_id, phone_hash)
);
