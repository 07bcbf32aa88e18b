-- Seals: what the log held, batch by batch, chained and signed. They are facts, like the events they vouch for.
-- Nothing here is on the way of an append: a sealer walks the log behind the horizon.
create table seals (
    batch          bigint      primary key check (batch > 0),
    first_number   bigint      not null,
    last_number    bigint      not null,
    log_epoch      smallint    not null,
    transaction_id xid8        not null,
    position       bigint      not null,
    digest         bytea       not null check (octet_length(digest) = 32),
    chain          bytea       not null check (octet_length(chain) = 32),
    signature      bytea       not null check (octet_length(signature) = 64),
    key_id         text        not null,
    sealed_at      timestamptz not null default clock_timestamp(),
    check (first_number > 0 and last_number between first_number and first_number + 999)
);

-- Leads from a place in the log, or from a number, to the batch it is in.
create index seals_by_position on seals (log_epoch, transaction_id, position);
create index seals_by_number on seals (last_number);

create function seals_are_facts() returns trigger language plpgsql as $$
begin
    raise exception 'seals are never changed or deleted' using errcode = '55000';
end $$;

create trigger seals_are_facts before update or delete or truncate on seals
    for each statement execute function seals_are_facts();

-- The key seals are signed with; its private half is sealed under the master key, which is not in here.
create table seal_keys (
    id                 text        primary key,
    public_key         bytea       not null check (octet_length(public_key) = 32),
    private_key_sealed text        not null,
    created_at         timestamptz not null default now()
);

-- One key, however many nodes start at once.
create unique index seal_keys_one on seal_keys ((true));
