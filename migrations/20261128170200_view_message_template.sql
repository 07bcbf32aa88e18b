-- Templates among messages: which one, by conversation and by time. Few messages are templates, so these indexes are
-- small. Generations that are kept or being built get them too.
do $$
declare generation text;
begin
    for generation in select relname from pg_class
                       where relkind = 'r' and relnamespace = current_schema()::regnamespace
                         and relname ~ '^message_view(_g[0-9]+)?$'
    loop
        execute format($sql$
            alter table %I add column template_name text generated always as
                (case when body ->> 'direction' = 'outbound' and body ->> 'type' = 'template'
                      then coalesce(body #>> '{media,name}', body ->> 'text') end) stored
        $sql$, generation);
        execute format('create index on %I (tenant_id, conversation_id, wanted_at) where template_name is not null', generation);
        execute format('create index on %I (tenant_id, wanted_at) where template_name is not null', generation);
    end loop;
end $$;
