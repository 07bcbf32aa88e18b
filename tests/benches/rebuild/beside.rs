//! A rebuild beside 400 writes a second, with the live projection running and people reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::shared::ids::{StreamId, TenantId};
use infrastructure::event_store::append::{Append, Appender, NewEvent};
use infrastructure::event_store::commands::Pokes;
use infrastructure::event_store::live::LiveProjections;
use infrastructure::event_store::waiter::{self, Checkpoints};
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Phase;

/// Writes a second.
const RATE: f64 = 400.0;
/// How long each idle stretch is: Linux writes back what has been dirty for 30 s, and whoever commits meanwhile waits;
/// a shorter stretch would be the one without that.
const IDLE: Duration = Duration::from_secs(120);
/// Idle and rebuild, so many times.
const PAIRS: usize = 3;

/// What clients saw.
#[derive(Default)]
struct Seen {
    /// When each was due, and how long after it was in.
    appends: Mutex<Vec<(Instant, Duration)>>,
    reads: Mutex<Vec<Duration>>,
    failed: AtomicU64,
}

/// Of a stretch of time.
struct Stretch {
    appends: Vec<(Instant, Duration)>,
    longest_read: Duration,
}

impl Seen {
    /// What they saw since the last call.
    async fn take(&self) -> Stretch {
        let (appends, reads) =
            (std::mem::take(&mut *self.appends.lock().await), std::mem::take(&mut *self.reads.lock().await));
        Stretch { appends, longest_read: reads.into_iter().max().unwrap_or_default() }
    }
}

impl Stretch {
    /// Median, p99 and longest of the appends due from then on, for so long.
    fn appends(&self, from: Instant, long: Duration) -> [Duration; 3] {
        let within = self.appends.iter().filter(|(due, _)| (from..from + long).contains(due));
        let mut took: Vec<Duration> = within.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or_default();
        [at(0.5), at(0.99), took.last().copied().unwrap_or_default()]
    }
}

/// Idle, rebuild, idle, and so on; prints what clients saw of each.
pub async fn run(pool: &PgPool, tenant: TenantId, streams: &[StreamId]) {
    let (seen, over) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
    let (pokes, stop) = (Arc::<Pokes>::default(), CancellationToken::new());
    let appender = Appender::start(pool.clone());
    let projections = vec![super::projections(pool).remove(0)];
    let live = LiveProjections { projections, keys: tests::keys(pool), pool: pool.clone() };
    let projecting = tokio::spawn(waiter::run(live, Arc::clone(&pokes), Arc::<Checkpoints>::default(), stop.clone()));
    let writing = tokio::spawn(write(appender, pokes, tenant, Arc::clone(&seen), Arc::clone(&over)));
    let reading = tokio::spawn(read(pool.clone(), streams.to_vec(), Arc::clone(&seen), Arc::clone(&over)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    seen.take().await;
    println!("| beside {RATE} writes/s | append median | p99 | longest | longest read | took |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        settle(pool, &seen).await;
        let idle = Phase { name: "idle".to_owned(), began: Instant::now(), took: IDLE };
        tokio::time::sleep(IDLE).await;
        let idle = print("idle", &seen.take().await, &[idle]);
        settle(pool, &seen).await;
        let phases = super::rebuild(pool).await;
        let beside = print("a rebuild", &seen.take().await, &phases);
        ratios.push(beside.as_secs_f64() / idle.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("append p99 beside a rebuild : idle, by pair: {ratios:.2?}");
    over.store(true, Ordering::SeqCst);
    writing.await.expect("writers");
    reading.await.expect("readers");
    stop.cancel();
    projecting.await.expect("a projection");
    println!("failed reads and writes: {}", seen.failed.load(Ordering::SeqCst));
    let metrics = api::compose::health::recorder().render();
    for line in metrics.lines().filter(|line| line.starts_with("projection_swap_seconds")) {
        println!("{line}");
    }
}

/// Writes down what the stretch before left to be written, so that both kinds begin alike.
async fn settle(pool: &PgPool, seen: &Seen) {
    sqlx::query("checkpoint").execute(pool).await.expect("a checkpoint");
    tokio::time::sleep(Duration::from_secs(2)).await;
    seen.take().await;
}

/// The stretch, and each of the phases it consisted of; its p99.
fn print(what: &str, stretch: &Stretch, phases: &[Phase]) -> Duration {
    let (began, took) = (phases[0].began, phases.iter().map(|phase| phase.took).sum());
    let [median, p99, longest] = stretch.appends(began, took);
    println!("| {what} | {median:.2?} | {p99:.2?} | {longest:.2?} | {:.2?} | {took:.1?} |", stretch.longest_read);
    for Phase { name, began, took } in phases.iter().filter(|_| phases.len() > 1) {
        let [median, p99, longest] = stretch.appends(*began, *took);
        println!("| … {name} | {median:.2?} | {p99:.2?} | {longest:.2?} | | {took:.1?} |");
    }
    p99
}

/// Appends at a fixed rate, whether the last one is answered or not.
async fn write(appender: Appender, pokes: Arc<Pokes>, tenant: TenantId, seen: Arc<Seen>, over: Arc<AtomicBool>) {
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / RATE));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut tasks = tokio::task::JoinSet::new();
    while !over.load(Ordering::SeqCst) {
        // An append that is late because the writer was is late all the same.
        let due = tick.tick().await;
        let (appender, pokes, seen) = (appender.clone(), Arc::clone(&pokes), Arc::clone(&seen));
        tasks.spawn(async move {
            let append = started(&StreamId::new(tenant, Uuid::now_v7()));
            if appender.append(append).await.is_err() {
                seen.failed.fetch_add(1, Ordering::SeqCst);
            }
            pokes.log.send_replace(());
            seen.appends.lock().await.push((due.into_std(), due.elapsed()));
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

fn started(stream: &StreamId) -> Append {
    Append {
        aggregate_type: "conversation",
        stream: stream.clone(),
        meets: None,
        expected: 0,
        events: vec![NewEvent {
            event_type: "conversation.started".to_owned(),
            event_version: "1".to_owned(),
            payload: json!({ "type": "started", "contactId": Uuid::now_v7(), "channel": "whatsapp", "line": tests::app::LINE,
                             "address": { "phone": "+972501234567" }, "name": "Dana Levi", "at": "2026-11-22T10:00:00Z" })
                .to_string(),
        }],
        metadata: json!({ "actor": "system", "correlationId": Uuid::now_v7(), "causationId": "" }),
        once: Vec::new(),
        mark: Vec::new(),
        conclude: None,
        effects: Vec::new(),
    }
}

/// Lists and details, as people look at them.
async fn read(pool: PgPool, streams: Vec<StreamId>, seen: Arc<Seen>, over: Arc<AtomicBool>) {
    let list = "select key, body from conversation_view where tenant_id = $1 order by last_at desc, key desc limit 50";
    let one = "select body from conversation_view where tenant_id = $1 and key = $2";
    let mut n = 0;
    while !over.load(Ordering::SeqCst) {
        n = (n + 7_919) % streams.len();
        let (began, stream) = (Instant::now(), &streams[n]);
        let rows = sqlx::query(list).bind(stream.tenant.0).fetch_all(&pool).await;
        let found = sqlx::query(one).bind(stream.tenant.0).bind(stream.id.to_string()).fetch_optional(&pool).await;
        if rows.is_err() || !matches!(found, Ok(Some(_))) {
            seen.failed.fetch_add(1, Ordering::SeqCst);
        }
        seen.reads.lock().await.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
