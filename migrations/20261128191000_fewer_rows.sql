-- A message on its way is written to once more than it was, and each recipient of a bulk send twice. Both need only the
-- row now, and none of its indexes: what changes stands in no index and in no index's condition.

-- State 2, on its way, is state 1 that is leaving.
alter table outbox add column leaving boolean not null default false;
update outbox set state = 1, leaving = true where state = 2;
alter table outbox add check (state in (0, 1, 3, 4)), add check (state = 1 or not leaving);
drop index outbox_lease;
create index outbox_lease on outbox (state) where state in (1, 3);
drop index outbox_lane;
create index outbox_lane on outbox (lane, id) where state <> 4;

-- State 1, claimed, is state 0 with a lease.
update bulk_recipients set state = 0 where state = 1;
alter table bulk_recipients add check (state in (0, 2, 3));
drop index bulk_recipients_waiting;

-- Read by account alone.
alter table queue_log drop constraint queue_log_pkey, add primary key (tenant_id, id);
drop index queue_log_tenant;

-- Room in a page for what its rows become at the same time.
alter table outbox set (fillfactor = 50);
alter table bulk_recipients set (fillfactor = 45);
