-- Who leaves stays a row: events and audit entries name them for ever. Their rights and secrets go, and their name
-- is free again.
alter table users add column deleted_at timestamptz;
alter table users drop constraint users_username_key;
create unique index users_username on users (username) where deleted_at is null;

-- So nothing is deleted along with a row of users any more, and a row that others point to cannot be deleted.
alter table sessions
    drop constraint sessions_user_id_fkey,
    add constraint sessions_user_id_fkey foreign key (user_id) references users;
alter table api_clients
    drop constraint api_clients_user_id_fkey,
    add constraint api_clients_user_id_fkey foreign key (user_id) references users;
alter table whatsapp_lines
    drop constraint whatsapp_lines_tenant_id_fkey,
    add constraint whatsapp_lines_tenant_id_fkey foreign key (tenant_id) references users;
alter table users
    drop constraint users_account_id_fkey,
    add constraint users_account_id_fkey foreign key (account_id) references users;
