//! Rebuild of the conversation read model, side by side on one Postgres: ours, one SQL `insert … select` that builds
//! the same summary, and a fold with one upsert an event; before that, ours beside 400 writes a second. Ratios matter;
//! the machine is shared. `cargo bench --bench rebuild [-- EVENTS]`, 1 000 000 unless told.

#[path = "rebuild/beside.rs"]
mod beside;
#[path = "rebuild/others.rs"]
mod others;

use std::sync::Arc;
use std::time::{Duration, Instant};

use application::conversations::views::ConversationView;
use application::projections::Projections;
use domain::shared::ids::{StreamId, TenantId};
use infrastructure::event_store::projector::{DocumentProjection, Projection, Turn};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::waiter;
use infrastructure::postgres::pool;
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use tests::past;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The read model.
const NAME: &str = "conversation_view";
/// How often progress is looked at: as often as `flowbot rebuild` does.
const LOOK_EVERY: Duration = Duration::from_millis(250);

fn main() {
    let events = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(events));
}

/// The one projection that is measured.
fn projections(pool: &PgPool) -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(DocumentProjection::<ConversationView>::new(tests::keys(pool)))]
}

/// A log, and the read model as on a running system: there, and at the head.
struct Past {
    pool: PgPool,
    tenant: TenantId,
    streams: Vec<StreamId>,
}

impl Past {
    async fn of(events: usize) -> Self {
        let database = TestDatabase::durable().await;
        let pool = pool::connect(database.options.clone(), pool::NAME, 40).await.expect("a pool");
        waiter::register(&pool, &[NAME]).await.expect("a checkpoint");
        let (tenant, began) = (TenantId(Uuid::now_v7()), Instant::now());
        let streams = past::write(&pool, tenant, events / past::EVENTS).await;
        let size: f64 = sqlx::query_scalar(
            "select avg(octet_length(payload::text) + octet_length(metadata::text))::float8 from events",
        )
        .fetch_one(&pool)
        .await
        .expect("a size");
        println!("{events} events of {size:.0} bytes, written in {:.0} s", began.elapsed().as_secs_f64());
        sqlx::query("vacuum analyze events").execute(&pool).await.expect("statistics");
        for projection in projections(&pool) {
            while matches!(projection.turn(&pool).await.expect("a turn"), Turn::Advanced { events: 1.., .. }) {}
        }
        Self { pool, tenant, streams }
    }
}

async fn run(events: usize) {
    api::compose::health::recorder();
    // First, so that nothing of a million events is written back meanwhile.
    beside::run().await;
    let past = Past::of(events).await;
    rates(&past.pool, events).await;
}

/// Ours and the others, one after the other.
async fn rates(pool: &PgPool, events: usize) {
    others::insert_select(pool).await; // warms the cache
    let sql = others::insert_select(pool).await;
    let peak = Peak::start();
    let (slices, ours) = rebuild(pool).await;
    let memory = peak.mebibytes();
    let upserts = others::upserts(pool, events.min(20_000)).await;
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!("| way | events/s | ours to it |\n| --- | --- | --- |");
    println!("| our rebuild, asked to live (slices, catch-up, comparison, swap) | {:.0} | 1 |", rate(ours));
    println!("| our rebuild, its slices alone | {:.0} | |", rate(slices));
    println!("| one SQL insert … select | {:.0} | {:.2} |", rate(sql), rate(ours) / rate(sql));
    println!("| one upsert an event, 1 000 a transaction | {upserts:.0} | {:.1} |", rate(ours) / upserts);
    println!("memory of the process while it rebuilt: {memory:.0} MiB at most");
}

/// How long a rebuild took, and its slices of that.
async fn rebuild(pool: &PgPool) -> (Duration, Duration) {
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let admin = PgProjections::new(pool.clone(), projections(pool));
    admin.rebuild(NAME, false).await.expect("a rebuild");
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), projections(pool)).run(stop.clone()));
    let mut slices = None;
    loop {
        let row = admin.one(NAME).await.expect("a row");
        if row.progress.as_ref().is_none_or(|progress| progress.phase != "slices") {
            slices.get_or_insert(began.elapsed());
        }
        if row.status != "rebuilding" {
            assert!(row.progress.is_none(), "it stopped: {row:?}");
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = began.elapsed();
    stop.cancel();
    worker.await.expect("a worker");
    (slices.unwrap_or(took), took)
}

/// The most memory the process had since.
struct Peak;

impl Peak {
    fn start() -> Self {
        std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
        Self
    }

    fn mebibytes(&self) -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1_024.0
    }
}
