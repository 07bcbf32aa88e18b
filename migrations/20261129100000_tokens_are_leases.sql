-- Recipients of bulk sends that were handed over by a process that died before it could say so. Until now a key said it,
-- and from now on their row is concluded by the statement that hands them over.
update bulk_recipients r
   set state = 2, message_id = o.reference::uuid, lease_token = null, lease_until = null
  from once o
 where r.state = 0 and r.lease_token is not null and o.tenant_id = r.tenant_id
   and o.key = 'bulk:' || encode(sha256(convert_to('bulk:' || r.bulk_send_id || ':' || r.number, 'UTF8')), 'hex');

-- A token means that its row is claimed: what leaves, and what is concluded, is found by its id and token alone.
update outbox set lease_token = null where state <> 1 and lease_token is not null;
alter table outbox add constraint outbox_token_is_a_lease check (state = 1 or lease_token is null);
alter table bulk_recipients add constraint bulk_recipients_token_is_a_lease check (state = 0 or lease_token is null);
