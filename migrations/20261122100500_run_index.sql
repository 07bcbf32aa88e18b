-- Finds the recorded runs of a flow by when they started (what-if). One entry a run; other events are not in it.
create index events_flow_runs on events (tenant_id, (payload ->> 'flowId'), recorded_at)
    where event_type = 'conversation.flow_run_started';
