//! The other ways to fill a read model.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use application::conversations::views::ConversationView;
use application::log::{Document, Position};
use domain::conversation::event::ConversationEvent;
use infrastructure::event_store::log_reader::read_log;
use serde_json::json;
use sqlx::{Executor, PgPool};

/// The same document's main fields, by aggregation over the payloads, into a table like the read model's.
const SUMMARY: &str = "
insert into sql_view (tenant_id, key, body)
select split_part(aggregate_id, '/', 1)::uuid, split_part(aggregate_id, '/', 2), jsonb_build_object(
    'id', split_part(aggregate_id, '/', 2),
    'contactId', max(payload ->> 'contactId') filter (where event_type = 'conversation.started'),
    'channel', max(payload ->> 'channel') filter (where event_type = 'conversation.started'),
    'phoneNumberId', max(payload ->> 'line') filter (where event_type = 'conversation.started'),
    'waPhoneNumber', max(payload #>> '{address,phone}') filter (where event_type = 'conversation.started'),
    'customerName', max(payload ->> 'name') filter (where event_type = 'conversation.started'),
    'flowId', max(payload ->> 'flowId') filter (where event_type = 'conversation.flow_run_started'),
    'status', coalesce((array_agg(event_type order by sequence desc) filter (where event_type in
        ('conversation.claimed', 'conversation.released', 'conversation.closed', 'conversation.reopened')))[1], 'active'),
    'lastMessage', (array_agg(coalesce(payload #>> '{message,text}', payload #>> '{content,text}') order by sequence desc)
        filter (where event_type in ('conversation.message_received', 'conversation.message_queued')))[1],
    'startedAt', min(payload ->> 'at') filter (where event_type = 'conversation.started'),
    'lastCustomerMessageAt', max(payload ->> 'at') filter (where event_type = 'conversation.message_received'),
    'lastActivityAt', max(payload ->> 'at'),
    'claimedBy', max(payload ->> 'by') filter (where event_type = 'conversation.claimed'),
    'version', 1 + count(*) filter (where event_type in
        ('conversation.claimed', 'conversation.released', 'conversation.closed', 'conversation.reopened')),
    'stats', jsonb_build_object(
        'received', count(*) filter (where event_type = 'conversation.message_received'),
        'queued', count(*) filter (where event_type = 'conversation.message_queued'),
        'sent', count(*) filter (where event_type = 'conversation.message_sent'),
        'delivered', count(*) filter (where event_type = 'conversation.message_delivered'),
        'read', count(*) filter (where event_type = 'conversation.message_read'),
        'failed', count(*) filter (where event_type = 'conversation.message_failed')),
    'flowRun', jsonb_build_object(
        'runId', max(payload ->> 'runId') filter (where event_type = 'conversation.flow_run_started'),
        'status', max(payload ->> 'outcome') filter (where event_type = 'conversation.flow_run_ended'),
        'variables', (array_agg(payload -> 'set' order by sequence desc)
            filter (where event_type = 'conversation.flow_run_stepped'))[1]))
  from events where aggregate_type = 'conversation' group by aggregate_id";

/// One statement, with memory enough for its sort.
pub async fn insert_select(pool: &PgPool) -> Duration {
    let mut connection = pool.acquire().await.expect("a connection");
    for statement in [
        "drop table if exists sql_view",
        "create table sql_view (like conversation_view including all)",
        "set work_mem = '256MB'",
        // It may take what way it likes, and its time.
        "set enable_seqscan = on",
        "set statement_timeout = 0",
    ] {
        connection.execute(statement).await.expect("a statement");
    }
    let began = Instant::now();
    connection.execute(SUMMARY).await.expect("a summary");
    let took = began.elapsed();
    for statement in ["reset work_mem", "reset enable_seqscan", "reset statement_timeout"] {
        connection.execute(statement).await.expect("a statement");
    }
    took
}

/// Events a second of a fold that upserts after each event; it keeps the documents in memory, and commits every
/// thousand, which flatters it.
pub async fn upserts(pool: &PgPool, sample: usize) -> f64 {
    let mut connection = pool.acquire().await.expect("a connection");
    let make = "drop table if exists upsert_view; create table upsert_view (like conversation_view including all)";
    sqlx::raw_sql(make).execute(&mut *connection).await.expect("a table");
    let (mut documents, mut position, mut done) = (HashMap::<_, ConversationView>::new(), Position::default(), 0);
    let began = Instant::now();
    while done < sample {
        let events = read_log(&mut connection, position, 1_000, &["conversation"]).await.expect("events");
        let Some(last) = events.last() else { break };
        position = last.position;
        connection.execute("begin").await.expect("a transaction");
        for event in &events {
            let recorded = event.decode::<ConversationEvent>().expect("an event");
            let key = ConversationView::key(&recorded).expect("a key");
            let document = documents.entry(key.clone()).or_default();
            document.apply(&recorded);
            sqlx::query(
                "insert into upsert_view (tenant_id, key, body) values ($1, $2, $3)
                 on conflict (tenant_id, key) do update set body = excluded.body",
            )
            .bind(recorded.stream.tenant.0)
            .bind(key)
            .bind(json!(document))
            .execute(&mut *connection)
            .await
            .expect("an upsert");
        }
        connection.execute("commit").await.expect("a transaction");
        done += events.len();
    }
    done as f64 / began.elapsed().as_secs_f64()
}
