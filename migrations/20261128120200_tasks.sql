-- What people of an account ask each other to do. Last value wins; comments are only ever added.
create table tasks (
    id              uuid        primary key,
    tenant_id       uuid        not null references users,
    title           text        not null,
    notes           text,
    assignee_id     uuid        references users,
    team            text,
    due_at          timestamptz,
    conversation_id uuid,
    lead_id         uuid,
    created_by      uuid        not null references users,
    completed_by    uuid        references users,
    completed_at    timestamptz,
    version         integer     not null default 1 check (version > 0),
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    check ((completed_by is null) = (completed_at is null))
);
create index tasks_recent on tasks (tenant_id, created_at desc, id desc);

create table task_comments (
    id         uuid        primary key,
    task_id    uuid        not null references tasks on delete cascade,
    author_id  uuid        not null references users,
    text       text        not null,
    created_at timestamptz not null
);
create index task_comments_task on task_comments (task_id, created_at, id);
