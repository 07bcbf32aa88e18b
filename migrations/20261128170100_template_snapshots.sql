-- Points in the log that somebody marked, to bring templates and groups back to. What they hold is in the log.
create table template_snapshots (
    id          uuid        primary key,
    tenant_id   uuid        not null references users,
    -- Epoch, transaction and number, as histories show it.
    position    text        not null,
    taken_at    timestamptz not null,
    taken_by    uuid        not null,
    note        text        not null default '',
    -- How many there were then.
    templates   integer     not null,
    groups      integer     not null
);
create index template_snapshots_tenant on template_snapshots (tenant_id, taken_at desc, id desc);
