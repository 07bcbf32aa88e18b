-- What appointments that are still to come take up, buffers included; written by the append of the event that says
-- so, and by nothing else. No two take the same resource of an account up at the same time, whoever writes at the same
-- moment. A span is half-open, so the next one may begin at the instant this one is free again. It lies on one line of
-- numbers that all resources share: a hash of account and resource, then the second. That takes no extension.
create table appointment_slots (
    tenant_id      uuid        not null,
    appointment_id uuid        not null,
    resource       text        not null,
    taken_from     timestamptz not null,
    free_from      timestamptz not null,
    span           numrange    not null,
    primary key (tenant_id, appointment_id),
    constraint appointment_slots_free exclude using gist (span with &&)
);
create index appointment_slots_resource on appointment_slots (tenant_id, resource, taken_from);
