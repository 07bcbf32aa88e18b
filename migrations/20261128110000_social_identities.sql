-- Whom somebody is to Google or Facebook: found by the provider's own id, never by an e-mail address.
create table social_identities (
    provider  text        not null check (provider in ('google', 'facebook')),
    subject   text        not null,
    user_id   uuid        not null references users on delete cascade,
    email     text,
    linked_at timestamptz not null default now(),
    primary key (provider, subject)
);
create index social_identities_user on social_identities (user_id);
