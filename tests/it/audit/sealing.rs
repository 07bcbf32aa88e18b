//! Numbers without gaps, whoever writes and whoever seals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use application::log::Position;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::log_reader::read_log;
use infrastructure::sealing::head_file::{self, HeadFile};
use infrastructure::sealing::keys;
use infrastructure::sealing::reader::{self, Until};
use infrastructure::sealing::sealer::Turn;
use infrastructure::security::secret_box::SecretBox;
use sqlx::{Connection, PgConnection, Row};
use tests::app::eventually;
use tokio::task::JoinSet;

use crate::audit::given::{Sealed, secrets};
use crate::event_store::given::{Log, append, set};

/// The number of every event, in the order of the log: what its batch says, and its place in the batch.
async fn numbered(log: &Sealed) -> Vec<Option<i64>> {
    let numbers = "select s.first_number - 1 + row_number() over (partition by s.batch order by e.log_epoch, e.transaction_id, e.global_position)
                     from events e left join lateral (
                          select batch, first_number from seals s
                           where (s.log_epoch, s.transaction_id, s.position) >= (e.log_epoch, e.transaction_id, e.global_position)
                           order by s.log_epoch, s.transaction_id, s.position limit 1) s on true
                    order by e.log_epoch, e.transaction_id, e.global_position";
    sqlx::query_scalar(numbers).fetch_all(&log.database.pool).await.expect("numbers")
}

#[tokio::test]
async fn numbers_have_no_gaps_while_many_write_and_several_seal() {
    const WRITERS: u32 = 32;
    const APPENDS: i64 = 60;
    let log = Log::empty().await;
    let sealed = Sealed { database: log.database };
    let writing = Arc::new(AtomicBool::new(true));
    let mut sealers = JoinSet::new();
    for _ in 0..3 {
        let (sealer, writing) = (sealed.sealer(), Arc::clone(&writing));
        sealers.spawn(async move {
            let mut events = 0;
            while writing.load(Ordering::Relaxed) {
                if let Turn::Sealed(more) = sealer.turn().await.expect("a turn") {
                    events += more;
                }
            }
            events
        });
    }
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let stream = domain::shared::ids::StreamId::new(log.tenant, uuid::Uuid::now_v7());
        // Two of them have a writer of their own: transactions overlap.
        let appender = if n % 16 == 0 { Appender::start(sealed.database.pool.clone()) } else { log.appender.clone() };
        writers.spawn(async move {
            for expected in 0..APPENDS {
                appender.append(append(&stream, expected, &[set("n", expected)])).await.expect("an append");
            }
        });
    }
    writers.join_all().await;
    writing.store(false, Ordering::Relaxed);
    let events = sealers.join_all().await.into_iter().sum::<i64>() + sealed.seal().await;
    let all = i64::from(WRITERS) * APPENDS;
    assert_eq!(events, all, "every event is sealed once");
    let batches: i64 =
        sqlx::query_scalar("select count(*) from seals").fetch_one(&sealed.database.pool).await.expect("a count");
    let verified = sealed.verify(None).await;
    assert_eq!((verified.bad, verified.sealed_to, verified.batches), (None, all, batches));
    assert_eq!(numbered(&sealed).await, (1..=all).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn batches_have_a_thousand_events_at_most_and_what_is_not_sealed_has_no_number() {
    let log = Sealed::four_batches().await;
    log.append(5).await;
    let rows = sqlx::query("select first_number, last_number from seals order by batch").fetch_all(&log.database.pool);
    let bounds: Vec<(i64, i64)> = rows.await.expect("seals").iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(bounds, [(1, 1_000), (1_001, 2_000), (2_001, 2_500), (2_501, 2_800)]);
    let numbered = numbered(&log).await;
    assert_eq!(numbered[2_799], Some(2_800));
    assert!(numbered[2_800..].iter().all(Option::is_none));
}

/// Blocks of the log's index that were looked at so far.
async fn looked_at(connection: &mut PgConnection) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(&mut *connection).await.expect("statistics");
    let blocks =
        "select (idx_blks_hit + idx_blks_read)::bigint from pg_statio_user_indexes where indexrelname = 'events_feed'";
    sqlx::query_scalar(blocks).fetch_one(connection).await.expect("blocks")
}

#[tokio::test]
async fn a_batch_is_read_without_walking_over_what_comes_after_it() {
    let log = Log::empty().await;
    let stream = domain::shared::ids::StreamId::new(log.tenant, uuid::Uuid::now_v7());
    for n in 0..60 {
        let events: Vec<_> = (0..200).map(|k| set("n", n * 200 + k)).collect();
        log.appender.append(append(&stream, n * 200, &events)).await.expect("an append");
    }
    // A vacuum would be counted too, and what other connections did and have not told of yet.
    let quiet = sqlx::query("alter table events set (autovacuum_enabled = off)");
    quiet.execute(&log.database.pool).await.expect("no vacuum");
    // Transactions of other tests hold the horizon up.
    let every: Vec<Position> = eventually("all of them", async || {
        let mut reader = log.database.pool.acquire().await.expect("a connection");
        let events = read_log(&mut reader, Position::default(), 12_000, &[]).await.expect("events");
        (events.len() == 12_000).then(|| events.iter().map(|event| event.position).collect())
    })
    .await;
    log.database.pool.close().await;
    let mut connection = PgConnection::connect_with(&log.database.options).await.expect("a connection");
    // After the first event, in the middle, and up to the last.
    for from in [0, 6_000, 11_799] {
        let before = looked_at(&mut connection).await;
        let until = Until::Position(every[from + 200]);
        let read = reader::read(&mut connection, every[from], until, 1_000, |_| {}).await.expect("a batch");
        assert_eq!(read, 200);
        let blocks = looked_at(&mut connection).await - before;
        assert!(blocks < 20, "{blocks} blocks of the index for 200 of 12 000 events, after {from}");
    }
}

#[tokio::test]
async fn a_sealer_waits_for_transactions_that_are_not_over() {
    let log = Sealed::empty().await;
    log.append(3).await;
    assert_eq!(log.seal().await, 3);
    let mut open = log.database.pool.begin().await.expect("a transaction");
    sqlx::query("select pg_current_xact_id()").execute(&mut *open).await.expect("an id");
    log.append(4).await;
    assert_eq!(log.sealer().seal_all().await.expect("no seal"), 0, "nothing behind the horizon is new");
    open.rollback().await.expect("its end");
    assert_eq!(log.seal().await, 4);
    assert_eq!(log.verify(None).await.bad, None);
}

#[tokio::test]
async fn seals_are_facts() {
    let log = Sealed::four_batches().await;
    for statement in ["update seals set batch = 9", "delete from seals", "truncate seals"] {
        let refused = sqlx::query(statement).execute(&log.database.pool).await.expect_err("a refusal");
        assert!(refused.to_string().contains("never changed or deleted"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn the_key_is_one_is_wrapped_and_survives_a_new_master_key() {
    let log = Sealed::empty().await;
    let pool = &log.database.pool;
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        nodes.spawn(async move { keys::signing(&pool, &secrets()).await.expect("a key").id });
    }
    let ids = nodes.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    log.append(10).await;
    log.seal().await;

    assert_eq!(keys::rewrap(pool, &secrets()).await.expect("nothing to do"), 0);
    let rotated = SecretBox::new(&[9; 32]).with_former(&[7; 32]);
    assert_eq!(keys::rewrap(pool, &rotated).await.expect("a new wrapping"), 1);
    let new = SecretBox::new(&[9; 32]);
    assert_eq!(keys::signing(pool, &new).await.expect("the same key").id, ids[0]);
    let range = application::audit::Range::default();
    let verified =
        infrastructure::sealing::verify::verify(pool, Some(&new), range, None).await.expect("a verification");
    assert_eq!(verified.bad, None);
    // A key that does not open is not replaced: nothing is sealed, and nothing is lost.
    log.append(10).await;
    log.sealer().seal_all().await.expect_err("the former master key opens nothing");
    assert_eq!(log.verify(None).await.sealed_to, 10);
}

#[tokio::test]
async fn the_newest_head_is_kept_at_once_and_then_seldom_while_more_is_sealed() {
    let log = Sealed::empty().await;
    let (pool, mut file) = (&log.database.pool, HeadFile::new(&log.data_dir()));
    let kept = || head_file::read_in(&log.data_dir()).expect("a file").map(|head| head.batch);
    let more = async || {
        log.append(3).await;
        log.seal().await;
    };
    file.follow_now_and_then(pool, false).await;
    assert_eq!(kept(), None);
    more().await;
    file.follow_now_and_then(pool, true).await;
    assert_eq!(kept(), Some(1), "nothing was written before");
    more().await;
    file.follow_now_and_then(pool, true).await;
    file.follow_now_and_then(pool, false).await;
    assert_eq!(kept(), Some(1), "a file that is written for good holds up the disk");
    file.follow(pool).await.expect("a head is kept");
    assert_eq!(kept(), Some(2), "unless it is asked for");
}
