-- Nobody filters by a whole document, yet `analyze` would open and sort thirty thousand of them, which keeps a core
-- for most of a second while everybody else waits for it. What is filtered by has columns of its own.
alter table appointment_view alter column body set statistics 0;
alter table conversation_view alter column body set statistics 0;
alter table flow_version_view alter column body set statistics 0;
alter table flow_view alter column body set statistics 0;
alter table lead_view alter column body set statistics 0;
alter table message_view alter column body set statistics 0;
alter table template_group_view alter column body set statistics 0;
alter table template_view alter column body set statistics 0;
-- Generations that are being built, or kept to go back to.
do $$
declare kept text;
begin
    for kept in select table_name from information_schema.columns
                 where table_schema = current_schema() and column_name = 'body' and table_name ~ '_view_g[0-9]+$'
    loop
        execute format('alter table %I alter column body set statistics 0', kept);
    end loop;
end $$;
alter table webhook_journal alter column body set statistics 0;
alter table bulk_recipients alter column params set statistics 0;
