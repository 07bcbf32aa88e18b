-- What is known of people beside how they sign in. Teams are names: a team is whoever has it.
alter table users
    add column if not exists phone text,
    add column team text;
