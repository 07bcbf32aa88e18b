-- Read models: a JSON document a key, folded from the log; columns for filters and sorting are generated
-- from it. Each may be dropped and rebuilt.
create table flow_view (
    tenant_id uuid not null,
    key       text not null,
    body      jsonb not null,
    status    text generated always as (body ->> 'status') stored,
    created_at text generated always as (body ->> 'createdAt') stored,
    primary key (tenant_id, key)
);

create table flow_version_view (
    tenant_id uuid not null,
    key       text not null,
    body      jsonb not null,
    flow_id   text generated always as (body ->> 'flowId') stored,
    version   integer generated always as ((body ->> 'version')::integer) stored,
    primary key (tenant_id, key)
);
create index flow_version_view_flow on flow_version_view (tenant_id, flow_id, version);

create table conversation_view (
    tenant_id  uuid not null,
    key        text not null,
    body       jsonb not null,
    status     text generated always as (body ->> 'status') stored,
    phone      text generated always as (body ->> 'waPhoneNumber') stored,
    claimed_by text generated always as (body ->> 'claimedBy') stored,
    flow_id    text generated always as (body ->> 'flowId') stored,
    last_at    text generated always as (body ->> 'lastActivityAt') stored,
    primary key (tenant_id, key)
);
create index conversation_view_recent on conversation_view (tenant_id, last_at desc, key desc);
create index conversation_view_phone on conversation_view (tenant_id, phone);

create table message_view (
    tenant_id       uuid not null,
    key             text not null,
    body            jsonb not null,
    conversation_id text generated always as (body ->> 'conversationId') stored,
    ordinal         bigint generated always as ((body ->> 'ordinal')::bigint) stored,
    primary key (tenant_id, key)
);
create index message_view_conversation on message_view (tenant_id, conversation_id, ordinal desc);

create table lead_view (
    tenant_id  uuid not null,
    key        text not null,
    body       jsonb not null,
    status     text generated always as (body ->> 'status') stored,
    phone      text generated always as (body ->> 'phone') stored,
    created_at text generated always as (body ->> 'createdAt') stored,
    primary key (tenant_id, key)
);
create index lead_view_recent on lead_view (tenant_id, created_at desc, key desc);
create index lead_view_phone on lead_view (tenant_id, phone);
