//! A rebuild beside 400 writes a second, with the live projection running and people reading. It works for some seconds
//! and is stopped for as many, again and again: over minutes the machine's pace changes by more than what is looked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use application::projections::Projections;
use domain::shared::ids::{StreamId, TenantId};
use infrastructure::event_store::append::{Append, Appender, NewEvent};
use infrastructure::event_store::commands::Pokes;
use infrastructure::event_store::live::LiveProjections;
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::waiter::{self, Checkpoints};
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::NAME;

/// Events to be rebuilt, beside those that are written meanwhile.
const EVENTS: usize = 30_000;
/// Writes a second.
const RATE: f64 = 400.0;
/// How long it works, and how long it does not.
const SPELL: Duration = Duration::from_secs(5);
/// How long it goes on like that; the rest of it is one stretch, or the whole would take too long.
const IN_SPELLS: Duration = Duration::from_secs(150);

/// What clients saw.
#[derive(Default)]
struct Seen {
    /// When each was due, and how long after it was in.
    appends: Mutex<Vec<(Instant, Duration)>>,
    reads: Mutex<Vec<Duration>>,
    failed: AtomicU64,
}

/// A stretch of time, and what went on.
struct Spell {
    what: String,
    from: Instant,
    until: Instant,
}

/// Median, p99 and longest of the appends that were due in these stretches of time.
fn appends(all: &[(Instant, Duration)], spells: &[&Spell]) -> [Duration; 3] {
    let within = |due: &Instant| spells.iter().any(|spell| (spell.from..spell.until).contains(due));
    let mut took: Vec<Duration> = all.iter().filter(|(due, _)| within(due)).map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or_default();
    [at(0.5), at(0.99), took.last().copied().unwrap_or_default()]
}

/// What goes on while no rebuild works.
const IDLE: &str = "idle";
/// Before what comes after the spells.
const REST: &str = "then ";
/// How long nothing is rebuilt in the end: what one stretch is measured by, for a log that was written to for minutes has
/// other pages to be written back than one of the first spells.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// One rebuild of a log of its own, and not of the million events the rates are of: it takes little more of the time
/// than it is given. Prints what clients saw.
pub async fn run() {
    let past = super::Past::of(EVENTS).await;
    let (pool, tenant, streams) = (&past.pool, past.tenant, past.streams);
    let (seen, over) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
    let (pokes, stop) = (Arc::<Pokes>::default(), CancellationToken::new());
    let appender = Appender::start(pool.clone());
    let projections = vec![super::projections(pool).remove(0)];
    let live = LiveProjections { projections, keys: tests::keys(pool), pool: pool.clone() };
    let projecting = tokio::spawn(waiter::run(live, Arc::clone(&pokes), Arc::<Checkpoints>::default(), stop.clone()));
    let writing = tokio::spawn(write(appender, pokes, tenant, Arc::clone(&seen), Arc::clone(&over)));
    let reading = tokio::spawn(read(pool.clone(), streams, Arc::clone(&seen), Arc::clone(&over)));
    sqlx::query("checkpoint").execute(pool).await.expect("a checkpoint");
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("| beside {RATE} writes/s | append median | p99 | longest | took |");
    println!("| --- | --- | --- | --- | --- |");
    let spells = rebuild_in_spells(pool).await;
    // What was due is in by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    print(&seen.appends.lock().await, &spells);
    over.store(true, Ordering::SeqCst);
    writing.await.expect("writers");
    reading.await.expect("readers");
    stop.cancel();
    projecting.await.expect("a projection");
    println!("longest read: {:.2?}", seen.reads.lock().await.iter().max());
    println!("failed reads and writes: {}", seen.failed.load(Ordering::SeqCst));
    let metrics = api::compose::health::recorder().render();
    for line in metrics.lines().filter(|line| line.starts_with("projection_swap_seconds")) {
        println!("{line}");
    }
}

/// A rebuild that works for a spell and rests for one, and then goes on to its end.
async fn rebuild_in_spells(pool: &PgPool) -> Vec<Spell> {
    let admin = PgProjections::new(pool.clone(), super::projections(pool));
    admin.rebuild(NAME, false).await.expect("a rebuild");
    let (mut spells, began) = (Vec::new(), Instant::now());
    loop {
        let in_spells = began.elapsed() < IN_SPELLS;
        if in_spells {
            let from = Instant::now();
            tokio::time::sleep(SPELL).await;
            spells.push(Spell { what: IDLE.to_owned(), from, until: Instant::now() });
        }
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Rebuilder::new(pool.clone(), super::projections(pool)).run(stop.clone()));
        let begun = Instant::now();
        let mut over = false;
        while !over && (begun.elapsed() < SPELL || !in_spells) {
            let from = Instant::now();
            let row = admin.one(NAME).await.expect("a row");
            over = row.status != "rebuilding";
            assert!(!over || row.progress.is_none(), "it stopped: {row:?}");
            tokio::time::sleep(super::LOOK_EVERY).await;
            let phase = row.progress.map_or_else(String::new, |progress| progress.phase);
            let what = if in_spells { phase } else { format!("{REST}{phase}") };
            spells.push(Spell { what, from, until: Instant::now() });
        }
        stop.cancel();
        worker.await.expect("a worker");
        if over {
            let from = Instant::now();
            tokio::time::sleep(AFTERWARDS).await;
            spells.push(Spell { what: format!("{REST}{IDLE}"), from, until: Instant::now() });
            return spells;
        }
    }
}

/// What was seen, idle and beside each phase, in spells and in one stretch.
fn print(all: &[(Instant, Duration)], spells: &[Spell]) {
    let of = |what: &dyn Fn(&str) -> bool| spells.iter().filter(|it| what(&it.what)).collect::<Vec<_>>();
    let line = |name: &str, spells: Vec<&Spell>| {
        let [median, p99, longest] = appends(all, &spells);
        let took: Duration = spells.iter().map(|it| it.until.duration_since(it.from)).sum();
        println!("| {name} | {median:.2?} | {p99:.2?} | {longest:.2?} | {took:.1?} |");
        p99.as_secs_f64()
    };
    for before in ["", REST] {
        let name = |what: &str| format!("{before}{what}");
        let in_part = |what: &str| what.starts_with(REST) != before.is_empty();
        let idle = line(&name(IDLE), of(&|what| what == name(IDLE)));
        let beside = line(&name("a rebuild"), of(&|what| in_part(what) && what != name(IDLE)));
        for phase in ["slices", "catching_up", "comparing", "swapping"].map(name) {
            let spells = of(&|what| what == phase);
            if !spells.is_empty() {
                line(&format!("… {phase}"), spells);
            }
        }
        let how = if before.is_empty() { "in spells" } else { "in one stretch" };
        println!("append p99 beside a rebuild : idle, {how}: {:.2}", beside / idle);
    }
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
