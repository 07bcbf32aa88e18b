-- How often one may, on all nodes together. Keys are hashes under the master key; what is old is swept. Unlogged: a
-- crash of the database forgets who used how much, and nothing else.
create unlogged table allowances (
    key       bytea         primary key,
    -- When each one that is not there again was taken, oldest first.
    taken     timestamptz[] not null,
    -- Whether the last attempt was within the allowance.
    granted   boolean       not null,
    forget_at timestamptz   not null
) with (fillfactor = 70);

-- Attempts to sign in with a name. An empty place stands for everywhere; others are networks it signed in from.
create unlogged table sign_in_attempts (
    name     bytea       not null,
    place    bytea       not null,
    -- Since the last success or the last quiet.
    attempts integer     not null,
    -- When the last of them had, or will have, its turn.
    turn_at  timestamptz not null,
    -- Whether the last one was given a turn.
    granted  boolean     not null,
    primary key (name, place)
) with (fillfactor = 70);

-- Signatures of calls that were signed together with a time. They are good for five minutes either way.
create table used_signatures (
    mark    bytea       primary key,
    used_at timestamptz not null default now()
);
