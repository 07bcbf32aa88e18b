-- People make accounts themselves: what they have to prove, how they can be reached, what they prefer.
-- Whoever an administrator or the command line made counts as verified. must_verify: may do nothing yet.
alter table users
    add column email_verified_at timestamptz default now(),
    add column must_verify       boolean     not null default false,
    add column phone             text,
    add column phone_verified_at timestamptz,
    add column language          text        check (language in ('en', 'he', 'ar', 'ru')),
    add column theme             text        not null default 'system' check (theme in ('light', 'dark', 'system')),
    add constraint users_verified_check check (not must_verify or email_verified_at is null),
    add constraint users_phone_check check (phone is not null or phone_verified_at is null);
update users set email_verified_at = created_at;
create index users_email on users (lower(email));
create index users_phone on users (phone) where phone is not null;
create index users_must_verify on users (created_at) where must_verify;
