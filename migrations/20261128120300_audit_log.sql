-- Audit entries are read in an order in which none can appear behind a cursor: the log's own (epoch, transaction,
-- number). Those that are there already come first, in the order of their numbers.
alter table audit_entries
    add column log_epoch      smallint not null default 0,
    add column transaction_id xid8     not null default '0';
alter table audit_entries
    alter column transaction_id set default pg_current_xact_id(),
    alter column recorded_at set default clock_timestamp();
do $$
begin
    execute format('alter table audit_entries alter column log_epoch set default %s', (select log_epoch from store_meta));
end $$;

create index audit_entries_tenant on audit_entries (tenant_id, log_epoch, transaction_id, id);

create function audit_entries_are_facts() returns trigger language plpgsql as $$
begin
    raise exception 'audit entries are never changed or deleted' using errcode = '55000';
end $$;

create trigger audit_entries_are_facts before update or delete or truncate on audit_entries
    for each statement execute function audit_entries_are_facts();
