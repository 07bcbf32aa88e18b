-- The generations of the key that signs tokens. No key is kept: each is derived from the master key by its number.
create table signing_keys (
    generation bigint      primary key,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
create unique index signing_keys_current on signing_keys ((true)) where retired_at is null;
insert into signing_keys (generation) values (1);
