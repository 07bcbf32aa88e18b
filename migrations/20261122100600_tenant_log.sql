-- An account's log in the order of the log. Times stand last: a reader that wants a time passes over the others
-- within the index.
create index events_tenant on events (tenant_id, log_epoch, transaction_id, global_position, recorded_at);
