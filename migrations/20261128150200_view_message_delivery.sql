-- What the delivery monitor looks for among messages: when they were queued (or held back), and whether they failed.
-- Columns of their own, because an index on the document itself would make every status a new entry of every index.
-- Generations that are kept or being built get them too.
do $$
declare generation text;
begin
    for generation in select relname from pg_class
                       where relkind = 'r' and relnamespace = current_schema()::regnamespace
                         and relname ~ '^message_view(_g[0-9]+)?$'
    loop
        execute format($sql$
            alter table %I
                add column wanted_at text generated always as
                    (coalesce(body #>> '{statusAt,queued}', body #>> '{statusAt,failed}')) stored,
                add column failed boolean generated always as (coalesce(body ->> 'status' = 'failed', false)) stored
        $sql$, generation);
        execute format('create index on %I (tenant_id, wanted_at)', generation);
        execute format('create index on %I (tenant_id, wanted_at, key) where failed', generation);
    end loop;
end $$;
