-- A projection has generations: one is live and has the projection's name as its table, one may be building, one
-- may be kept for a rollback; their tables are <name>_g<generation>.
alter table projections
    add column role         text not null default 'live' check (role in ('live', 'building', 'former')),
    -- What a build is at; a former generation is `swapping` while it is on its way back.
    add column phase        text check (phase in ('slices', 'catching_up', 'comparing', 'swapping')),
    -- Events a second, smoothed over about 10 s.
    add column rate         double precision not null default 0,
    add column started_at   timestamptz not null default now(),
    -- An estimate until the slices are done.
    add column events_total bigint not null default 0,
    -- A build that finds differences waits for a person.
    add column confirm      boolean not null default false,
    -- Against the generation that was live.
    add column differences  jsonb,
    add column former_since timestamptz;
alter table projections drop constraint projections_pkey, add primary key (name, generation);
alter table projections drop constraint projections_status_check;
alter table projections add constraint projections_status_check check (status in ('running', 'halted', 'paused'));
create unique index projections_live on projections (name) where role = 'live';
create unique index projections_building on projections (name) where role = 'building';

-- Every page of a slice, and whatever else changes what the page rests on, takes a new number: who read the page
-- under an older one starts again.
create sequence rebuild_revision;

-- Ranges of streams a build reads, each from its first stream to its last, in short transactions.
create table rebuild_slices (
    name          text     not null,
    generation    integer  not null,
    slice         integer  not null,
    -- The first stream after the one before; null: from the beginning.
    from_stream   text,
    -- The first stream of the next slice; null: to the end.
    to_stream     text,
    -- The last stream that is in.
    cursor_stream text,
    revision      bigint   not null default nextval('rebuild_revision'),
    events_done   bigint   not null default 0,
    rate          double precision not null default 0,
    done          boolean  not null default false,
    updated_at    timestamptz not null default now(),
    primary key (name, generation, slice),
    foreign key (name, generation) references projections on delete cascade
);
