-- One key a contact: what the log says of the person is sealed with it. Wrapped by the master key, which is not in
-- the database. Once `wrapped` is gone, nobody can read what was sealed.
create table contact_keys (
    tenant_id  uuid        not null,
    contact_id uuid        not null,
    wrapped    text,
    created_at timestamptz not null default now(),
    erased_at  timestamptz,
    primary key (tenant_id, contact_id),
    check ((wrapped is null) = (erased_at is not null))
);

-- Which streams are about a contact; written by the append of a stream's first event.
create table contact_streams (
    tenant_id      uuid not null,
    contact_id     uuid not null,
    aggregate_type text not null,
    aggregate_id   text not null,
    primary key (tenant_id, contact_id, aggregate_type, aggregate_id)
);

insert into contact_streams (tenant_id, contact_id, aggregate_type, aggregate_id)
select tenant_id::uuid, (payload ->> 'contactId')::uuid, aggregate_type, aggregate_id
  from events where event_type = 'conversation.started'
on conflict do nothing;

-- How many contacts were erased: a process that remembers keys looks here whether one of them is gone.
create table erasures (
    one   boolean primary key default true check (one),
    count bigint  not null default 0
);
insert into erasures default values;

-- A provider's message id holds the customer's phone, so keys are kept as hashes.
update once set key = split_part(key, ':', 1) || ':' || encode(sha256(convert_to(key, 'UTF8')), 'hex');
