//! Builds and whoever writes beside them: how much is taken at a time, and that the live one goes on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use application::projections::{Differences, Projections};
use domain::shared::ids::TenantId;
use infrastructure::event_store::projector::BATCH_MAX;
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::rebuild::beside::Others;
use infrastructure::event_store::rebuild::compare::{Compared, compare};
use infrastructure::event_store::rebuild::slices::{PAGE, PAGE_BESIDE, Page, Slice};
use sqlx::PgPool;
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

async fn differences(pool: &PgPool, stop: &CancellationToken) -> Option<Differences> {
    let others = Others::new(pool.clone());
    let compared = compare(pool, &*conversations(pool)[0], 2, &others, stop).await.expect("a comparison");
    match compared {
        Compared::Found(differences) => Some(differences),
        Compared::Later => None,
    }
}

#[tokio::test]
async fn the_live_one_goes_on_while_the_two_are_compared() {
    let database = projected(10).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    let stop = CancellationToken::new();
    past::write(pool, TenantId(Uuid::now_v7()), 3).await;
    others(pool, false).await;
    // Nobody else takes turns here: whatever the live one takes in, it does while it is held. What was written is not
    // below the horizon as long as a transaction of before is open anywhere in the cluster.
    eventually("all of them", async || {
        assert_eq!(differences(pool, &stop).await, Some(Differences::default()));
        let known = sqlx::query_scalar("select count(*) from conversation_view").fetch_one(pool).await;
        (known.unwrap_or(0_i64) == 13).then_some(())
    })
    .await;
    stop.cancel();
    assert_eq!(differences(pool, &stop).await, None, "who is to stop compares no further");
    sqlx::query("update projections set status = 'paused' where generation = 2").execute(pool).await.expect("a pause");
    assert_eq!(differences(pool, &CancellationToken::new()).await, None, "nor does one that is paused");
}

#[tokio::test]
async fn a_range_is_compared_without_walking_over_what_comes_after_it() {
    const DOCUMENTS: i64 = 10_000;
    let database = projected(1).await;
    let pool = &database.pool;
    at_its_comparison(pool).await;
    for table in ["conversation_view", "conversation_view_g2"] {
        let many = format!(
            "insert into {table} (tenant_id, key, body)
             select '018f0000-0000-7000-8000-000000000001', lpad(n::text, 36, '0'), jsonb_build_object('n', n)
               from generate_series(1, {DOCUMENTS}) n"
        );
        sqlx::query(&many).execute(pool).await.expect("documents");
        sqlx::query(&format!("vacuum analyze {table}")).execute(pool).await.expect("statistics");
    }
    others(pool, false).await;
    assert_eq!(differences(pool, &CancellationToken::new()).await, Some(Differences::default()));
    for index in ["conversation_view_pkey", "conversation_view_g2_pkey"] {
        // A backend tells what it read when it ends.
        let read = eventually("what was read", async || {
            let read = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where indexrelname = $1";
            let read: i64 = sqlx::query_scalar(read).bind(index).fetch_one(pool).await.expect("a count");
            (read >= DOCUMENTS).then_some(read)
        })
        .await;
        assert!(read < 3 * DOCUMENTS, "{read} entries of {index} were read");
    }
}
