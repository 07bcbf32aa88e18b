-- The log. The first seven columns are postgres-es's own, names included; the rest are defaults, so that
-- its INSERT still works.
create sequence event_position cache 1;

create table events (
    aggregate_type  text        not null,
    aggregate_id    text        not null,
    sequence        bigint      not null check (sequence > 0),
    event_type      text        not null,
    event_version   text        not null,
    payload         json        not null,
    metadata        json        not null,
    global_position bigint      not null default nextval('event_position'),
    transaction_id  xid8        not null default pg_current_xact_id(),
    log_epoch       smallint    not null default 1,
    event_id        uuid        not null default gen_random_uuid(),
    recorded_at     timestamptz not null default clock_timestamp(),
    tenant_id       text        not null generated always as (split_part(aggregate_id, '/', 1)) stored,
    primary key (aggregate_type, aggregate_id, sequence)
);

-- Readers walk the log in this order; everything below the transaction horizon has finished.
create index events_feed on events (log_epoch, transaction_id, global_position);

create function events_are_facts() returns trigger language plpgsql as $$
begin
    raise exception 'events are never changed or deleted' using errcode = '55000';
end $$;

create trigger events_are_facts before update or delete or truncate on events
    for each statement execute function events_are_facts();

-- The transaction id must be taken after the stream was read, or a stream's own order and the log's order
-- could disagree: an append is the first write of its transaction.
create function append_comes_first() returns trigger language plpgsql as $$
begin
    if pg_current_xact_id_if_assigned() is not null then
        raise exception 'an append must be the first write of its transaction' using errcode = '25001';
    end if;
    return null;
end $$;

create trigger append_comes_first before insert on events
    for each statement execute function append_comes_first();

-- A cache of folded state; deleting it costs time, never truth.
create table snapshots (
    aggregate_type   text   not null,
    aggregate_id     text   not null,
    last_sequence    bigint not null check (last_sequence > 0),
    current_snapshot bigint not null,
    payload          json   not null,
    primary key (aggregate_type, aggregate_id)
);

-- What may happen once: a provider's message id, a client's key. Inserted by the append that acts on it.
-- It also leads from a provider's message id to the stream and the message.
create table once (
    tenant_id   uuid        not null,
    key         text        not null,
    stream      text        not null,
    reference   text        not null,
    recorded_at timestamptz not null default now(),
    primary key (tenant_id, key)
);
