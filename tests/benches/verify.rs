//! Verifying a million sealed events, and what sealing costs the appends it runs beside. Rates of one run on a shared
//! machine: the ratios count. `cargo bench --bench verify`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use application::audit::Range;
use domain::shared::ids::{StreamId, TenantId};
use infrastructure::event_store::append::{Append, Appender, NewEvent};
use infrastructure::postgres::pool;
use infrastructure::sealing::sealer::Sealer;
use infrastructure::sealing::verify::verify;
use infrastructure::security::secret_box::SecretBox;
use serde_json::json;
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVENTS: i64 = 1_000_000;
const VERIFICATIONS: usize = 3;
const WRITERS: [usize; 2] = [8, 32];
const PAIRS: usize = 50;
/// How long the sealer is there, and how long it is not: two of its rounds.
const SPELL: Duration = Duration::from_secs(2);
/// Events of a stream.
const STREAM: i64 = 20;
/// Clock ticks a second, as Linux counts a process's time.
const TICKS: f64 = 100.0;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let database = TestDatabase::durable().await;
    let pool = pool::connect(database.options.clone(), pool::NAME, 40).await.expect("a pool");
    println!("| writers | appends/s | with the sealer | ratio | median of {PAIRS} pairs |");
    println!("| --- | --- | --- | --- | --- |");
    for writers in WRITERS {
        beside(&pool, &database, writers).await;
    }
    sealer(&pool, &database).seal_all().await.expect("seals");
    fill(&pool).await;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let sealed = sealer(&pool, &database).seal_all().await.expect("seals");
    report("sealing", sealed, began, cpu);
    for _ in 0..VERIFICATIONS {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let verified = verify(&pool, Some(&secrets()), Range::default(), None).await.expect("a verification");
        assert_eq!(verified.bad, None);
        report("verifying", verified.sealed_to, began, cpu);
    }
}

fn report(what: &str, events: i64, began: Instant, cpu: f64) {
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let rate = |seconds: f64| events as f64 / seconds;
    println!("{what}: {events} events, {:.0}/s, {:.0} a second of our processor time", rate(seconds), rate(cpu));
}

fn secrets() -> SecretBox {
    SecretBox::new(&[7; 32])
}

fn sealer(pool: &PgPool, database: &TestDatabase) -> Sealer {
    Sealer::new(pool.clone(), secrets(), database.data_dir().as_ref())
}

/// Processor seconds of this process: user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / TICKS
}

/// Events of about 500 bytes each, twenty a stream.
async fn fill(pool: &PgPool) {
    const CHUNK: i64 = 50_000;
    for _ in 0..EVENTS / CHUNK {
        sqlx::query(
            "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
             select 'conversation', tenant || '/' || stream, n, 'conversation.message_queued', '1',
                    json_build_object('type', 'message_queued', 'messageId', gen_random_uuid(), 'author', 'flow',
                        'content', json_build_object('type', 'text', 'text', repeat('Your order is on its way. ', 9)),
                        'line', '100000000000001', 'to', json_build_object('phone', '+972501234567'), 'at', now()),
                    json_build_object('actor', 'system', 'correlationId', gen_random_uuid())
               from (select gen_random_uuid() as tenant, gen_random_uuid() as stream from generate_series(1, $1 / 20)) s,
                    generate_series(1, 20) n",
        )
        .bind(CHUNK)
        .execute(pool)
        .await
        .expect("events");
    }
    sqlx::query("vacuum analyze events").execute(pool).await.expect("statistics");
}

/// Appends with and without a sealer: the writers go on and on, and it comes and goes. What the machine does of itself
/// lasts longer than a spell, so that neighbours compare; which of a pair comes first changes.
async fn beside(pool: &PgPool, database: &TestDatabase, writers: usize) {
    let (appender, done, stop) = (Appender::start(pool.clone()), Arc::<AtomicU64>::default(), CancellationToken::new());
    let tasks = (0..writers).map(|_| tokio::spawn(write(appender.clone(), Arc::clone(&done), stop.clone())));
    let tasks: Vec<_> = tasks.collect();
    let (sealer, mut rates) = (Arc::new(sealer(pool, database)), [Vec::new(), Vec::new()]);
    for pair in 0..=PAIRS {
        for n in [pair % 2, (pair + 1) % 2] {
            // What the other spell left behind is not this one's.
            sealer.seal_all().await.expect("seals");
            let over = CancellationToken::new();
            let seals = (n == 1).then(|| tokio::spawn(Arc::clone(&sealer).run(over.clone())));
            let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
            tokio::time::sleep(SPELL).await;
            let rate = (done.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
            over.cancel();
            if let Some(seals) = seals {
                seals.await.expect("a sealer that ends");
            }
            // The first pair is for warming up.
            if pair > 0 {
                rates[n].push(rate);
            }
        }
    }
    stop.cancel();
    for task in tasks {
        task.await.expect("a writer");
    }
    let ratios = rates[0].iter().zip(&rates[1]).map(|(alone, sealed)| sealed / alone).collect();
    let [alone, sealed] = rates.map(|rates| rates.iter().sum::<f64>() / PAIRS as f64);
    println!("| {writers} | {alone:.0} | {sealed:.0} | {:.3} | {:.3} |", sealed / alone, median(ratios));
}

/// Appends one event after the other, to streams of [`STREAM`] events.
async fn write(appender: Appender, done: Arc<AtomicU64>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let stream = StreamId::new(TenantId(Uuid::nil()), Uuid::now_v7());
        for expected in 0..STREAM {
            appender.append(append(&stream, expected)).await.expect("an append");
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn append(stream: &StreamId, expected: i64) -> Append {
    let text = "Your order ORD-12345 is on its way and will arrive tomorrow. ".repeat(4);
    let event = NewEvent {
        event_type: "conversation.message_queued".to_owned(),
        event_version: "1".to_owned(),
        payload:
            json!({ "type": "message_queued", "content": { "type": "text", "text": text }, "line": tests::app::LINE })
                .to_string(),
    };
    Append {
        aggregate_type: "conversation",
        stream: stream.clone(),
        expected,
        events: vec![event],
        metadata: json!({ "actor": "user", "correlationId": Uuid::nil() }),
        once: Vec::new(),
        mark: Vec::new(),
        conclude: None,
        effects: Vec::new(),
        meets: None,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
