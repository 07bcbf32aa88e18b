//! Builds and whoever writes beside them: how much is taken at a time, and that the live one goes on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use application::projections::{Differences, Projections};
use domain::shared::ids::TenantId;
use infrastructure::event_store::projector::BATCH_MAX;
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::rebuild::beside::{Others, Spell};
use infrastructure::event_store::rebuild::compare::{Looked, look};
use infrastructure::event_store::rebuild::slices::{PAGE, PAGE_BESIDE, Page, Slice};
use infrastructure::postgres::pool;
use sqlx::{Connection, PgPool};
use tests::app::eventually;
use tests::past;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::projections::kills::{NAME, conversations, projected, settled};
use crate::projections::noted::Noted;

/// Waits until others write, or do not.
async fn others(pool: &PgPool, write: bool) {
    eventually("others who write, or do not", async || {
        (Others::new(pool.clone()).are_writing().await.expect("an answer") == write).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_takes_whole_batches_while_nobody_writes_and_short_ones_beside_writers() {
    let database = projected(20).await;
    let pool = &database.pool;
    let noted = Noted::new(pool);
    let (admin, stop) = (PgProjections::new(pool.clone(), conversations(pool)), CancellationToken::new());
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), vec![noted.clone()]).run(stop.clone()));

    others(pool, false).await;
    admin.rebuild(NAME, false).await.expect("a rebuild");
    assert_eq!(settled(pool).await.generation, 2);
    let (pages, turns) = noted.take();
    assert!(pages.len() >= 8 && pages.iter().all(|page| page.limit == PAGE), "{pages:?}");
    assert!(!turns.is_empty() && turns.iter().all(|batch| *batch == BATCH_MAX), "{turns:?}");

    let over = Arc::<AtomicBool>::default();
    let writer = {
        let (pool, over) = (pool.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                past::write(&pool, TenantId(Uuid::now_v7()), 1).await;
                conversations(&pool)[0].turn(&pool).await.expect("a turn");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
    };
    others(pool, true).await;
    // The former generation's turns tell when the worker knows too.
    eventually("a short turn", async || noted.take().1.iter().any(|batch| *batch < BATCH_MAX).then_some(())).await;
    admin.rebuild(NAME, false).await.expect("a rebuild");
    let row = settled(pool).await;
    over.store(true, Ordering::SeqCst);
    writer.await.expect("a writer");
    assert_eq!(row.generation, 3, "{row:?}");
    assert!(row.differences.as_ref().is_some_and(|it| !it.any() && it.skipped.is_none()), "{row:?}");
    let (pages, turns) = noted.take();
    assert!(pages.len() > 8 && pages.iter().all(|page| page.limit == PAGE_BESIDE), "{pages:?}");
    assert!(!turns.is_empty() && turns.iter().all(|batch| *batch < BATCH_MAX), "{turns:?}");
    stop.cancel();
    worker.await.expect("a worker");
}

/// A build of [`NAME`] whose slices are read, at its comparison.
async fn at_its_comparison(pool: &PgPool) {
    PgProjections::new(pool.clone(), conversations(pool)).rebuild(NAME, false).await.expect("a rebuild");
    let projection = &conversations(pool)[0];
    let mut connection = pool.acquire().await.expect("a connection");
    for slice in 0..8 {
        let slice = Slice { name: NAME.to_owned(), generation: 2, slice };
        while let Page::Done(_) = projection.page(&mut connection, &slice, PAGE).await.expect("a page") {}
    }
    let compared = "update projections set phase = 'comparing' where generation = 2";
    sqlx::query(compared).execute(pool).await.expect("a phase");
}

/// Looks on until all is compared; none when the build was stopped.
async fn differences(pool: &PgPool, beside: bool) -> Option<Differences> {
    let mut connection = pool.acquire().await.expect("a connection").detach();
    let found = loop {
        match look(&mut connection, &*conversations(pool)[0], 2, beside).await.expect("a look") {
            Looked::Further | Looked::Behind => {}
            Looked::Found(differences) => break Some(differences),
            Looked::Stopped => break None,
        }
    };
    connection.close().await.expect("an end");
    found
}

/// Begins the comparison anew.
async fn forget(pool: &PgPool) {
    sqlx::query("update projections set compared = null").execute(pool).await.expect("a new beginning");
}

#[tokio::test]
async fn the_live_one_goes_on_while_the_two_are_compared() {
    let database = projected(10).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    past::write(pool, TenantId(Uuid::now_v7()), 3).await;
    // Nobody else takes turns here: whatever the live one takes in, it does while it is held. What was written is not
    // below the horizon as long as a transaction of before is open anywhere in the cluster.
    eventually("all of them", async || {
        forget(pool).await;
        assert_eq!(differences(pool, false).await, Some(Differences::default()));
        let known = sqlx::query_scalar("select count(*) from conversation_view").fetch_one(pool).await;
        (known.unwrap_or(0_i64) == 13).then_some(())
    })
    .await;
    sqlx::query("update projections set status = 'paused' where generation = 2").execute(pool).await.expect("a pause");
    assert_eq!(differences(pool, false).await, None, "one that is paused is compared no further");
}

#[tokio::test]
async fn a_comparison_goes_on_where_whoever_looked_last_came_to() {
    let database = projected(75).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    let first = "update conversation_view_g2 set body = '{}' where key = (select min(key) from conversation_view_g2)";
    sqlx::query(first).execute(pool).await.expect("a difference");
    let mut connection = pool.acquire().await.expect("a connection");
    let looked = look(&mut connection, &*conversations(pool)[0], 2, true).await.expect("a look");
    assert!(matches!(looked, Looked::Further), "fifty of them are compared");
    // Whatever happens to what was compared: it is not looked at again, and what was found is not forgotten.
    sqlx::query("delete from conversation_view_g2").execute(pool).await.expect("nothing");
    let found = differences(pool, true).await.expect("what was found");
    assert_eq!((found.missing, found.extra, found.changed), (25, 0, 1), "{found:?}");
    // Another live generation is another comparison.
    sqlx::query("update projections set generation = 3 where role = 'live'").execute(pool).await.expect("a number");
    let found = differences(pool, true).await.expect("what was found");
    assert_eq!((found.missing, found.extra, found.changed), (75, 0, 0), "{found:?}");
}

#[tokio::test]
async fn what_differs_is_found_wherever_ranges_end() {
    let database = projected(210).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    // By their places among the keys: beside others a range has fifty of them.
    for (table, places, change) in [
        ("conversation_view_g2", "45 and 55", "delete from"),
        ("conversation_view", "90 and 110", "delete from"),
        ("conversation_view_g2", "140 and 149", "delete from"),
        ("conversation_view_g2", "210 and 210", "delete from"),
        ("conversation_view", "1 and 1", "update"),
        ("conversation_view_g2", "160 and 161", "update"),
    ] {
        let set = if change == "update" { "set body = '{}'" } else { "" };
        let changed = format!(
            "{change} {table} v {set} where key in (
                select n.key from (select key, row_number() over (order by key) as place from conversations) n
                 where n.place between {places})"
        );
        let keys = "create table if not exists conversations as select tenant_id, key from conversation_view";
        sqlx::query(keys).execute(pool).await.expect("keys");
        sqlx::query(&changed).execute(pool).await.expect("a difference");
    }
    // Short accounts, several of which are looked at together, before and after the long one.
    for (table, accounts) in [("conversation_view", "0, 9"), ("conversation_view_g2", "8, 12")] {
        let many = format!(
            "insert into {table} (tenant_id, key, body)
             select (case when n % 2 = 0 then '00000000' else 'ffffffff' end || '-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
                    k::text, '{{}}' from generate_series({accounts}) n, generate_series(1, 3) k"
        );
        sqlx::query(&many).execute(pool).await.expect("documents");
    }
    let found = differences(pool, true).await.expect("what was found");
    assert_eq!((found.missing, found.extra, found.changed), (22 + 8 * 3, 21 + 3 * 3, 3), "{found:?}");
}

/// Looks as beside writers: whether it was too far behind.
async fn was_behind(pool: &PgPool) -> bool {
    let mut connection = pool.acquire().await.expect("a connection");
    let looked = look(&mut connection, &*conversations(pool)[0], 2, true).await.expect("a look");
    matches!(looked, Looked::Behind)
}

#[tokio::test]
async fn a_build_that_fell_far_behind_comes_nearer_by_turns_of_its_own_before_it_is_looked_at() {
    let database = projected(10).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    past::write(pool, TenantId(Uuid::now_v7()), 100).await;
    super::history::run(&*conversations(pool)[0], pool).await;
    assert!(was_behind(pool).await, "a hundred conversations are more than may be taken in while the live one waits");
    let noted = Noted::new(pool);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), vec![noted.clone()]).run(stop.clone()));
    let row = settled(pool).await;
    assert_eq!(row.generation, 2, "{row:?}");
    assert!(row.differences.as_ref().is_some_and(|it| !it.any() && it.skipped.is_none()), "{row:?}");
    assert!(noted.take().1.len() > 1, "one turn is the one before it is swapped");
    stop.cancel();
    worker.await.expect("a worker");
}

#[tokio::test]
async fn a_spell_ends_when_others_may_wait_for_its_connection_and_when_it_is_to_stop() {
    let database = projected(1).await;
    let stop = CancellationToken::new();
    let of = async |most| pool::connect(database.options.clone(), pool::NAME, most).await.expect("a pool");
    let only = of(1).await;
    let spell = Spell::begin(&only, &stop).await.expect("a connection");
    assert!(!spell.rest(Instant::now(), 0).await, "nobody else has one");
    let enough = of(2).await;
    let spell = Spell::begin(&enough, &stop).await.expect("a connection");
    assert!(spell.rest(Instant::now(), 0).await);
    let began = Instant::now();
    let piece = began.checked_sub(Duration::from_millis(20)).expect("a time");
    assert!(spell.rest(piece, 5).await);
    assert!(began.elapsed() >= Duration::from_millis(100), "five lengths of a piece of 20 ms");
    stop.cancel();
    assert!(!spell.rest(piece, 0).await, "it is to stop");
}

#[tokio::test]
async fn a_range_is_compared_without_walking_over_what_comes_after_it() {
    const DOCUMENTS: i64 = 10_000;
    let database = projected(1).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    for table in ["conversation_view", "conversation_view_g2"] {
        // Half of them are one account's, the others fifty's.
        let many = format!(
            "insert into {table} (tenant_id, key, body)
             select ('018f0000-0000-7000-8000-' || lpad(greatest(n % 100 - 49, 0)::text, 12, '0'))::uuid,
                    lpad(n::text, 36, '0'), jsonb_build_object('n', n)
               from generate_series(1, {DOCUMENTS}) n"
        );
        sqlx::query(&many).execute(pool).await.expect("documents");
        sqlx::query(&format!("vacuum analyze {table}")).execute(pool).await.expect("statistics");
    }
    assert_eq!(differences(pool, false).await, Some(Differences::default()));
    for table in ["conversation_view", "conversation_view_g2"] {
        // A backend tells what it read when it ends.
        let read = eventually("what was read", async || {
            let read = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname = $1";
            let read: i64 = sqlx::query_scalar(read).bind(table).fetch_one(pool).await.expect("a count");
            (read >= DOCUMENTS).then_some(read)
        })
        .await;
        assert!(read < DOCUMENTS + DOCUMENTS / 5, "{read} entries of the indexes of {table} were read");
    }
}
