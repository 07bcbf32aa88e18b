-- When a session was last used, and from where it was opened.
alter table sessions
    add column last_used_at timestamptz not null default now(),
    add column user_agent   text,
    add column address      text;
update sessions set last_used_at = created_at;
