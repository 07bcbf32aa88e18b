//! A rebuild beside 400 writes a second, with the live projection running and people reading. It works for some seconds
//! and is stopped for some, again and again: over minutes the machine's pace changes by more than what is looked for.

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
/// How long it works.
const SPELL: Duration = Duration::from_secs(15);
/// How long it does not. Shorter, for what is written meanwhile has to be taken in, too.
const PAUSE: Duration = Duration::from_secs(5);
/// How long what it left to be written is waited for before that: the private server hands it over within two seconds.
const SETTLING: Duration = Duration::from_secs(2);
/// How long rebuilds follow each other: the p99 of a minute differs from the next one's by more than what is looked for.
/// The first one is carried to its end, and the last one left where it is.
const REBUILDS: Duration = Duration::from_secs(360);
/// From then on the first one is not stopped any more: each time it begins with whole rests, and a slow machine would
/// never reach the writers.
const IN_SPELLS_MAX: Duration = Duration::from_secs(600);
/// How long people write before anything is looked at: for half a minute, a new cluster is slower.
const WARM_UP: Duration = Duration::from_secs(40);
/// Write-ahead log of the minutes that follow and more, in messages of a megabyte.
const WRITE_AHEAD_MB: i32 = 1_100;

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
/// And what while one does.
const PHASES: [&str; 4] = ["slices", "catching_up", "comparing", "swapping"];

/// Rebuilds of a log of its own, and not of the million events the rates are of. Prints what clients saw.
pub async fn run() {
    let past = super::Past::of(EVENTS).await;
    let (pool, tenant, streams) = (&past.pool, past.tenant, past.streams);
    age(pool).await;
    let (seen, over) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
    let (pokes, stop) = (Arc::<Pokes>::default(), CancellationToken::new());
    let appender = Appender::start(pool.clone());
    let projections = vec![super::projections(pool).remove(0)];
    let live = LiveProjections { projections, keys: tests::keys(pool), pool: pool.clone() };
    let projecting = tokio::spawn(waiter::run(live, Arc::clone(&pokes), Arc::<Checkpoints>::default(), stop.clone()));
    let writing = tokio::spawn(write(appender, pokes, tenant, Arc::clone(&seen), Arc::clone(&over)));
    let reading = tokio::spawn(read(pool.clone(), streams, Arc::clone(&seen), Arc::clone(&over)));
    tokio::time::sleep(WARM_UP).await;
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

/// As a server that has run for an hour, which uses segments of the write-ahead log again: a new one would make each of
/// them, and whoever commits would wait 40 ms for that, now beside the rebuild and now not.
async fn age(pool: &PgPool) {
    let message = "select pg_logical_emit_message(false, '', repeat('x', 1 << 20))";
    for _ in 0..WRITE_AHEAD_MB {
        sqlx::query(message).execute(pool).await.expect("a message");
    }
    sqlx::query("checkpoint").execute(pool).await.expect("a checkpoint");
}

/// Rebuilds that work for a spell and are stopped for one.
async fn rebuild_in_spells(pool: &PgPool) -> Vec<Spell> {
    let admin = PgProjections::new(pool.clone(), super::projections(pool));
    let (mut spells, began, mut rebuilt, mut under_way) = (Vec::new(), Instant::now(), 0, false);
    while rebuilt == 0 || began.elapsed() < REBUILDS {
        if !under_way {
            admin.rebuild(NAME, false).await.expect("a rebuild");
        }
        tokio::time::sleep(SETTLING).await;
        let from = Instant::now();
        tokio::time::sleep(PAUSE).await;
        spells.push(Spell { what: IDLE.to_owned(), from, until: Instant::now() });
        under_way = !works(pool, &admin, &mut spells, began.elapsed() > IN_SPELLS_MAX).await;
        rebuilt += u32::from(!under_way);
    }
    spells
}

/// A spell of it, in which a new process carries it on. Whether it is over.
async fn works(pool: &PgPool, admin: &PgProjections, spells: &mut Vec<Spell>, to_its_end: bool) -> bool {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), super::projections(pool)).run(stop.clone()));
    let begun = Instant::now();
    let (mut over, mut phase) = (false, String::new());
    while begun.elapsed() < SPELL || to_its_end {
        let from = Instant::now();
        let row = admin.one(NAME).await.expect("a row");
        over = row.status != "rebuilding";
        assert!(!over || row.progress.is_none(), "it stopped: {row:?}");
        if over {
            break;
        }
        tokio::time::sleep(super::LOOK_EVERY).await;
        phase = row.progress.map_or(phase, |progress| progress.phase);
        spells.push(Spell { what: phase.clone(), from, until: Instant::now() });
    }
    stop.cancel();
    worker.await.expect("a worker");
    over
}

/// What was seen, beside each phase and while nothing was rebuilt.
fn print(all: &[(Instant, Duration)], spells: &[Spell]) {
    let line = |name: &str, what: &[&str]| {
        let spells: Vec<&Spell> = spells.iter().filter(|spell| what.contains(&&*spell.what)).collect();
        let [median, p99, longest] = appends(all, &spells);
        let took: Duration = spells.iter().map(|it| it.until.duration_since(it.from)).sum();
        println!("| {name} | {median:.2?} | {p99:.2?} | {longest:.2?} | {took:.1?} |");
        p99.as_secs_f64()
    };
    // It swaps between two looks, more often than not.
    let seen = |phase: &&&str| spells.iter().any(|spell| spell.what == **phase);
    for phase in PHASES.iter().filter(seen) {
        line(&format!("… {phase}"), &[phase]);
    }
    let ratio = line("a rebuild", &PHASES) / line(IDLE, &[IDLE]);
    println!("append p99 beside a rebuild : idle: {ratio:.2}");
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
