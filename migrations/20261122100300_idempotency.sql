-- Requests with an Idempotency-Key, and what they were answered. Answers are sealed under the master key: they show
-- what read models show, and outlive it by up to seven days. status: null while the request runs under its lease.
create table idempotency_keys (
    tenant_id    uuid        not null,
    key          text        not null,
    -- HMAC-SHA256 of caller, method, address and body
    fingerprint  bytea       not null,
    lease        uuid        not null,
    locked_until timestamptz not null,
    status       smallint,
    headers      json,
    -- null with a status: the answer is not kept any more, though the request took effect
    body         text,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- The appends of such requests leave a key too; they are forgotten together.
create index once_request on once (recorded_at) where reference = 'request';
