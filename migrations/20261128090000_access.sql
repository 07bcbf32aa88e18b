-- People who work in somebody's account, and what they and API clients were granted.
alter table users
    drop constraint users_role_check,
    add constraint users_role_check check (role in ('admin', 'user', 'employee')),
    add column account_id  uuid    references users on delete cascade,
    add column permissions text[]  not null default '{}',
    add column active      boolean not null default true,
    add constraint users_account_check check ((role = 'employee') = (account_id is not null));
create index users_account on users (account_id) where account_id is not null;

alter table api_clients
    add column scopes text[] not null default '{inbox,flows,templates,leads,calendar,reports,outbound}';
