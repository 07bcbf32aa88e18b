//! The log's order under load: whatever commits late, a reader skips nothing and sees nothing twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use application::log::Position;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::log_reader::{RawEvent, read_log};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::event_store::given::{Log, append, set};

const WRITERS: u32 = 32;
const APPENDS: u32 = 250;
const EVENTS: u32 = 25;
const READERS: u32 = 3;
/// Events of a reader's page.
const PAGE: i64 = 2_000;
/// How long a reader may take for all of them.
const PATIENCE: Duration = Duration::from_secs(240);
/// Transactions that write first and commit last.
const LONG: u32 = 12;

/// Appends to streams of its own, `EVENTS` at a time.
async fn write(log: Arc<Log>, pool: PgPool, writer: u32, written: Arc<AtomicU32>) {
    let appender = Appender::start(pool);
    let mut sequences = HashMap::<u32, i64>::new();
    for n in 0..APPENDS {
        let lead = writer * 100 + n % 17;
        let sequence = sequences.entry(lead).or_default();
        let events: Vec<_> = (0..EVENTS).map(|it| set("n", it)).collect();
        appender.append(append(&log.stream(lead), *sequence, &events)).await.expect("stored");
        *sequence += i64::from(EVENTS);
        written.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls until this many appends are in.
async fn reached(written: &AtomicU32, wanted: u32) {
    while written.load(Ordering::SeqCst) < wanted {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Takes its transaction id and position now and commits once the others have gone on; every third gives up.
async fn dawdle(pool: PgPool, n: u32, written: Arc<AtomicU32>) {
    let insert =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('slow', $1, 1, 'slow', '1', '{}', '{}')";
    reached(&written, n * 600).await;
    let mut transaction = pool.begin().await.expect("a transaction");
    sqlx::query(insert).bind(format!("slow/{n}")).execute(&mut *transaction).await.expect("a write");
    let until = (written.load(Ordering::SeqCst) + 400).min(WRITERS * APPENDS);
    reached(&written, until).await;
    if n.is_multiple_of(3) {
        transaction.rollback().await.expect("it gives up");
    } else {
        transaction.commit().await.expect("it commits");
    }
}

/// An event's place: its stream, its number there, its number in the log.
type Place = (String, i64, i64);

async fn read_all(pool: PgPool, wanted: usize) -> Vec<Place> {
    let mut connection = pool.acquire().await.expect("a connection");
    let (mut seen, mut cursor) = (Vec::with_capacity(wanted), Position::default());
    let place =
        |event: RawEvent| (format!("{} {}", event.aggregate_type, event.stream), event.sequence, event.position.number);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let began = std::time::Instant::now();
    while seen.len() < wanted {
        let page = read_log(&mut connection, cursor, PAGE, &["lead", "slow"]).await.expect("a page");
        cursor = page.last().map_or(cursor, |last| last.position);
        seen.extend(page.into_iter().map(place));
        assert!(began.elapsed() < PATIENCE, "{} of {wanted} events", seen.len());
        ticks.tick().await;
    }
    let left = read_log(&mut connection, cursor, PAGE, &["lead", "slow"]).await.expect("a page");
    assert!(left.is_empty(), "nothing is left");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_000_events_every_reader_sees_each_once_and_each_stream_in_order() {
    let log = Arc::new(Log::empty().await);
    let written = Arc::new(AtomicU32::new(0));
    let kept = (0..LONG).filter(|n| !n.is_multiple_of(3)).count();
    let wanted = (WRITERS * APPENDS * EVENTS) as usize + kept;
    let pool =
        |connections| PgPoolOptions::new().max_connections(connections).connect_with(log.database.options.clone());
    let (writing, reading) = (pool(16).await.expect("a pool"), pool(READERS).await.expect("a pool"));
    let readers: Vec<_> = (0..READERS).map(|_| tokio::spawn(read_all(reading.clone(), wanted))).collect();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&log), writing.clone(), writer, Arc::clone(&written)));
    }
    for n in 0..LONG {
        writers.spawn(dawdle(log.pool(), n, Arc::clone(&written)));
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    for reader in readers {
        let seen = reader.await.expect("a reader");
        let mut next = HashMap::<&str, i64>::new();
        for (stream, sequence, _) in &seen {
            let expected = next.entry(stream).or_insert(1);
            assert_eq!(sequence, expected, "{stream} skipped or repeated");
            *expected += 1;
        }
        assert_eq!(seen.len(), wanted);
        let out_of_order = seen.windows(2).filter(|pair| pair[0].2 > pair[1].2).count();
        assert!(out_of_order > 0, "a cursor over the number alone was never put to the test");
    }
}
