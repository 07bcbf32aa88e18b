-- Read models of templates and their groups: the aggregate as it stands, with columns for filters and sorting.
create table template_view (
    tenant_id uuid not null,
    key       text not null,
    body      jsonb not null,
    waba_id   text generated always as (body #>> '{template,Known,wabaId}') stored,
    name      text generated always as (body #>> '{template,Known,name}') stored,
    status    text generated always as (body #>> '{template,Known,status}') stored,
    sort      text generated always as ((body #>> '{template,Known,name}') || ' ' || (body #>> '{template,Known,language}')) stored,
    primary key (tenant_id, key)
);
create index template_view_sort on template_view (tenant_id, sort, key);
create index template_view_name on template_view (tenant_id, name);
create index template_view_account on template_view (tenant_id, waba_id);

create table template_group_view (
    tenant_id  uuid not null,
    key        text not null,
    body       jsonb not null,
    name       text generated always as (body #>> '{group,Open,name}') stored,
    created_at text generated always as (body ->> 'createdAt') stored,
    primary key (tenant_id, key)
);
create index template_group_view_order on template_group_view (tenant_id, created_at, key);
