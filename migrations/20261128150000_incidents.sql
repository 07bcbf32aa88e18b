-- Trouble with a line's account (class E of Meta's errors): nothing goes out on the line until a person acts. However
-- many messages meet it, one is open a line. Closed when the line is resumed or saved anew.
create table incidents (
    id           bigint      generated always as identity primary key,
    tenant_id    uuid        not null references users on delete cascade,
    line         text        not null references whatsapp_lines on delete cascade,
    code         bigint      not null,
    class        text        not null,
    title        text        not null,
    details      text,
    messages     bigint      not null default 1,
    opened_at    timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    closed_at    timestamptz,
    closed_by    text,
    closed_how   text        check (closed_how in ('resumed', 'saved')),
    check ((closed_at is null) = (closed_how is null))
);
create unique index incidents_open on incidents (line) where closed_at is null;
create index incidents_tenant on incidents (tenant_id, opened_at);

-- Lines that are stopped today were stopped by such an error: its code stands at the end of the reason.
insert into incidents (tenant_id, line, code, class, title, opened_at, last_seen_at)
select tenant_id, phone_number_id, coalesce(substring(stopped_reason from '\((-?[0-9]{1,18})\)$')::bigint, 0), 'sender',
       coalesce(stopped_reason, ''), stopped_at, stopped_at
  from whatsapp_lines where stopped_at is not null;
