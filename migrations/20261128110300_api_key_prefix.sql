-- The part of an API key that may be shown, so that people know which one is in use.
alter table api_clients add column key_prefix text not null default '';
