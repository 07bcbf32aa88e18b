-- The read model of appointments, in the order of the calendar.
create table appointment_view (
    tenant_id uuid not null,
    key       text not null,
    body      jsonb not null,
    status    text generated always as (body ->> 'status') stored,
    begins    text generated always as (body ->> 'start') stored,
    ends      text generated always as (body ->> 'end') stored,
    resource  text generated always as (body ->> 'resourceId') stored,
    primary key (tenant_id, key)
);
create index appointment_view_order on appointment_view (tenant_id, begins, key);
