-- Codes that prove an address, as keyed hashes: the code itself stands in the sealed letter alone, until it is sent.
create table verification_codes (
    user_id    uuid        not null references users on delete cascade,
    channel    text        not null check (channel in ('email', 'phone')),
    address    text        not null,
    code_hash  text        not null,
    attempts   smallint    not null default 0,
    expires_at timestamptz not null,
    primary key (user_id, channel)
);
create index verification_codes_address on verification_codes (channel, address);

-- How often codes were asked for, whether anybody has the address or not; its keyed hash alone is kept.
create table verification_asks (
    address_hash text        primary key,
    asked_at     timestamptz not null,
    hour_began   timestamptz not null,
    asks         integer     not null
);
create index verification_asks_age on verification_asks (asked_at);
