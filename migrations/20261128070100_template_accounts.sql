-- What is counted of a WhatsApp Business Account, whatever the number of nodes: submissions of the last hour, calls
-- to Meta's management API, and whose turn its sync is. Machinery, rebuilt by use: no audit entries.
create table template_accounts (
    tenant_id     uuid        not null,
    waba_id       text        not null,
    -- when templates were submitted, oldest first
    creations     timestamptz[] not null default '{}',
    -- calls of the hour that began at calls_since
    calls         integer     not null default 0,
    calls_since   timestamptz not null default now(),
    -- how much of its quota Meta says is used, and until when that is believed
    usage_percent smallint    not null default 0,
    usage_until   timestamptz not null default now(),
    -- the turn that is held
    sync_node     uuid,
    sync_until    timestamptz,
    -- what came of the last one
    attempted_at  timestamptz,
    report        json,
    primary key (tenant_id, waba_id)
);

-- Webhooks about templates name the business account alone.
create index whatsapp_lines_business_account on whatsapp_lines (waba_id);
