//! The account's log as lines over REST, beside a raw `copy … to stdout` of the same rows, in interleaved rounds:
//! events as they are written, and events sealed with contacts' keys. Rates of one run on a shared machine: the
//! ratios count. `cargo bench --bench export [-- EVENTS]`

use std::time::Instant;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use domain::conversation::Conversation;
use domain::conversation::event::{Author, ConversationEvent};
use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ContactId, MessageId, StreamId, TenantId, UserId};
use domain::shared::phone::Phone;
use futures::TryStreamExt;
use infrastructure::event_store::sealed::stored;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt;
use tests::app::{SignedIn, TestApp};
use tests::cluster::TestDatabase;
use uuid::Uuid;

const EVENTS: i64 = 200_000;
const ROUNDS: usize = 7;
const STREAM_EVENTS: i64 = 20;
const CHUNK: i64 = 10_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let events = std::env::args().find_map(|it| it.parse().ok()).unwrap_or(EVENTS);
    let database = TestDatabase::create().await;
    let api = Options { roles: Some("api".to_owned()), rust_log: Some("warn".to_owned()), ..Options::default() };
    let app = TestApp::on(database, api, RateLimits::lifted()).await;
    println!(
        "| events | COPY events/s | lines/s | ratio (median of {ROUNDS} pairs) | COPY MiB/s | lines MiB/s | peak RSS grew by |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for sealed in [false, true] {
        let account = app.account(if sealed { "sealed" } else { "clear" }).await;
        fill(&app.database.pool, &account, events, sealed).await;
        measure(&app, &account, events, sealed).await;
    }
}

async fn measure(app: &TestApp, account: &SignedIn, events: i64, sealed: bool) {
    let (mut copies, mut lines, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The peak so far was that of filling the log: from here on it is that of reading it.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let (mut bytes, before) = ((0, 0), peak_rss_mib());
    for round in 0..=ROUNDS {
        // Which of the two comes first changes from round to round; the first round warms caches.
        let mut rates = [0.0; 2];
        for n in [round % 2, (round + 1) % 2] {
            let began = Instant::now();
            let read = if n == 0 { copy(&app.database.pool, account).await } else { export(account, events).await };
            rates[n] = events as f64 / began.elapsed().as_secs_f64();
            if n == 0 { bytes.0 = read } else { bytes.1 = read }
        }
        if round > 0 {
            copies.push(rates[0]);
            lines.push(rates[1]);
            ratios.push(rates[1] / rates[0]);
        }
    }
    let (copied, exported) = (median(copies), median(lines));
    let mib = |rate: f64, bytes: usize| rate * bytes as f64 / events as f64 / f64::from(1 << 20);
    println!(
        "| {events} {} | {copied:.0} | {exported:.0} | {:.2} | {:.0} | {:.0} | {:.0} MiB |",
        if sealed { "sealed" } else { "clear" },
        median(ratios),
        mib(copied, bytes.0),
        mib(exported, bytes.1),
        peak_rss_mib() - before,
    );
}

async fn copy(pool: &PgPool, account: &SignedIn) -> usize {
    let copy = format!(
        "copy (select * from events e where e.tenant_id = '{}'
                order by e.log_epoch, e.transaction_id, e.global_position) to stdout",
        account.id
    );
    let rows = pool.copy_out_raw(&copy).await.expect("a copy");
    rows.try_fold(0, async |bytes, piece| Ok(bytes + piece.len())).await.expect("all of it")
}

async fn export(account: &SignedIn, events: i64) -> usize {
    let mut response = account.lines("/api/audit/events").await;
    let (mut bytes, mut lines) = (0, 0);
    while let Some(piece) = response.chunk().await.expect("all of it") {
        bytes += piece.len();
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines as i64, events);
    bytes
}

async fn fill(pool: &PgPool, account: &SignedIn, events: i64, sealed: bool) {
    let (keys, tenant) = (tests::keys(pool), TenantId(account.id.parse().expect("an id")));
    let (mut written, mut rows) = (0, Vec::new());
    while written < events {
        let (stream, contact) = (StreamId::new(tenant, Uuid::now_v7()), ContactId(Uuid::now_v7()));
        let key = if sealed { Some(keys.fresh(tenant, contact).await.expect("a key")) } else { None };
        for sequence in 1..=STREAM_EVENTS.min(events - written) {
            let new = stored::<Conversation>(&queued(), key.as_ref(), &stream, sequence).expect("JSON");
            rows.push((stream.to_string(), sequence, new.payload));
            written += 1;
        }
        if rows.len() as i64 >= CHUNK || written >= events {
            insert(pool, std::mem::take(&mut rows)).await;
        }
    }
    sqlx::query("vacuum analyze events").execute(pool).await.expect("statistics");
}

async fn insert(pool: &PgPool, rows: Vec<(String, i64, String)>) {
    let metadata = json!({ "actor": "system", "correlationId": Uuid::now_v7(), "causationId": "journal:42" });
    let mut columns: (Vec<String>, Vec<i64>, Vec<String>) = Default::default();
    for (stream, sequence, payload) in rows {
        columns.0.push(stream);
        columns.1.push(sequence);
        columns.2.push(payload);
    }
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         select 'conversation', stream, sequence, 'conversation.message_queued', '1', payload::json, $4
           from unnest($1::text[], $2::bigint[], $3::text[]) as new(stream, sequence, payload)",
    )
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .bind(metadata)
    .execute(pool)
    .await
    .expect("events");
}

fn queued() -> ConversationEvent {
    ConversationEvent::MessageQueued {
        message_id: MessageId(Uuid::now_v7()),
        author: Author::User,
        user_id: Some(UserId(Uuid::nil())),
        run_id: None,
        bulk_send_id: None,
        content: OutboundContent::Text {
            text: "Your order ORD-12345 is on its way and will arrive tomorrow.".into(),
            preview_url: false,
        },
        line: tests::app::LINE.to_owned(),
        to: Address::of_phone(Phone::parse("+972501234567").expect("a phone")),
        at: chrono::Utc::now(),
    }
}

/// The most memory this process ever held.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
