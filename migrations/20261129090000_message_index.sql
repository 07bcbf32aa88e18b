-- Templates of a time are found among all messages of that time; their own index was written with every message of a
-- bulk send and read by a report. Generations that are kept or being built lose it too; its name differs by generation.
do $$
declare unneeded regclass;
begin
    for unneeded in
        select i.indexrelid::regclass
          from pg_index i join pg_class t on t.oid = i.indrelid
         where t.relkind = 'r' and t.relnamespace = current_schema()::regnamespace
           and t.relname ~ '^message_view(_g[0-9]+)?$' and i.indnkeyatts = 2
           and pg_get_expr(i.indpred, i.indrelid) = '(template_name IS NOT NULL)'
    loop
        execute format('drop index %s', unneeded);
    end loop;
end $$;
