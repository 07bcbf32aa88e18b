create table users (
    id            uuid        primary key,
    username      text        not null unique,
    password_hash text        not null,
    email         text        not null,
    display_name  text        not null,
    role          text        not null check (role in ('user', 'admin')),
    timezone      text        not null default 'UTC',
    api_access_approved boolean not null default false,
    created_at    timestamptz not null default now()
);

create table sessions (
    id         uuid        primary key,
    user_id    uuid        not null references users on delete cascade,
    kind       text        not null check (kind in ('session', 'api')),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    created_at timestamptz not null default now()
);
create index sessions_user on sessions (user_id);

-- One credential set an account; the key is kept as its SHA-256 alone.
create table api_clients (
    user_id    uuid        primary key references users on delete cascade,
    client_id  text        not null unique,
    key_hash   text        not null,
    rotated_at timestamptz not null default now()
);

-- Sending lines. Sealed columns are XChaCha20-Poly1305 with the tenant and the column as associated data.
create table whatsapp_lines (
    phone_number_id      text        primary key,
    tenant_id            uuid        not null references users on delete cascade,
    waba_id              text        not null,
    display_phone_number text        not null,
    access_token_sealed  text        not null,
    access_token_tail    text        not null,
    app_secret_sealed    text,
    verify_token_sealed  text,
    is_primary           boolean     not null default false,
    coexistence          boolean     not null default false,
    messages_per_second  integer     not null check (messages_per_second between 1 and 1000),
    pair_limit           boolean     not null default true,
    stopped_reason       text,
    stopped_at           timestamptz,
    updated_at           timestamptz not null default now()
);
create index whatsapp_lines_tenant on whatsapp_lines (tenant_id);
create unique index whatsapp_lines_primary on whatsapp_lines (tenant_id) where is_primary;

-- A contact is a set of identifiers; the phone may be missing.
create table contact_identifiers (
    tenant_id  uuid        not null,
    channel    text        not null,
    kind       text        not null check (kind in ('phone', 'user_id')),
    value      text        not null,
    contact_id uuid        not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, channel, kind, value)
);

-- Who changed what is not event-sourced; written in the same transaction as the change.
create table audit_entries (
    id         bigint      generated always as identity primary key,
    tenant_id  uuid,
    actor      text        not null,
    action     text        not null,
    subject    text        not null,
    details    json        not null,
    recorded_at timestamptz not null default now()
);
