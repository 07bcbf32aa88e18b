-- Finds the conversations somebody claimed, so that they can be released when that person is removed. One entry a
-- claim; other events are not in it.
create index events_claims on events (tenant_id, (payload ->> 'by')) where event_type = 'conversation.claimed';
