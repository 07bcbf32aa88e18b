//! The log's order under load: whatever commits late, a reader skips nothing and sees nothing twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use application::log::Position;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::log_reader::{RawEvent, read_log};
use sqlx::PgPool;

use crate::event_store::given::{Log, append, set};

const WRITERS: u32 = 8;
const APPENDS: u32 = 140;
const EVENTS: u32 = 3;
/// Transactions that write first and commit last.
const LONG: u32 = 12;

/// Appends to streams of its own, `EVENTS` at a time.
async fn write(log: Arc<Log>, writer: u32, written: Arc<AtomicU32>) {
    let appender = Appender::start(log.pool());
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
    reached(&written, n * 60).await;
    let mut transaction = pool.begin().await.expect("a transaction");
    sqlx::query(insert).bind(format!("slow/{n}")).execute(&mut *transaction).await.expect("a write");
    let until = (written.load(Ordering::SeqCst) + 90).min(WRITERS * APPENDS);
    reached(&written, until).await;
    if n.is_multiple_of(3) {
        transaction.rollback().await.expect("it gives up");
    } else {
        transaction.commit().await.expect("it commits");
    }
}

async fn read_all(pool: PgPool, wanted: usize) -> Vec<RawEvent> {
    let mut connection = pool.acquire().await.expect("a connection");
    let (mut seen, mut cursor) = (Vec::new(), Position::default());
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let began = std::time::Instant::now();
    while seen.len() < wanted {
        let page = read_log(&mut connection, cursor, 200, &["lead", "slow"]).await.expect("a page");
        cursor = page.last().map_or(cursor, |last| last.position);
        seen.extend(page);
        assert!(began.elapsed() < Duration::from_secs(60), "{} of {wanted} events", seen.len());
        ticks.tick().await;
    }
    assert!(
        read_log(&mut connection, cursor, 200, &["lead", "slow"]).await.expect("a page").is_empty(),
        "nothing is left"
    );
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_every_event_once_and_each_stream_in_order() {
    let log = Arc::new(Log::empty().await);
    let written = Arc::new(AtomicU32::new(0));
    let kept = (0..LONG).filter(|n| !n.is_multiple_of(3)).count();
    let wanted = (WRITERS * APPENDS * EVENTS) as usize + kept;
    let reader = tokio::spawn(read_all(log.pool(), wanted));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&log), writer, Arc::clone(&written)));
    }
    for n in 0..LONG {
        writers.spawn(dawdle(log.pool(), n, Arc::clone(&written)));
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    let seen = reader.await.expect("the reader");
    let mut next = HashMap::<(&str, &str), i64>::new();
    for event in &seen {
        let expected = next.entry((&event.aggregate_type, &event.stream)).or_insert(1);
        assert_eq!(event.sequence, *expected, "{} skipped or repeated", event.stream);
        *expected += 1;
    }
    assert_eq!(seen.len(), wanted);
    let out_of_order = seen.windows(2).filter(|pair| pair[0].position.number > pair[1].position.number).count();
    assert!(out_of_order > 0, "a cursor over the number alone was never put to the test");
}
