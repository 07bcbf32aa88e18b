//! Rebuilt from zero, in whatever batches, interrupted, raced for: the tables are the same.

use std::sync::Arc;
use std::time::Duration;

use infrastructure::postgres::pool;
use sqlx::Row;

use crate::projections::history::{dump, forget, lived, projections, run};

#[tokio::test]
async fn a_rebuild_gives_what_was_live_whatever_the_batches() {
    let database = lived().await;
    let live = dump(&database.pool).await;
    assert!(live.len() > 30, "{}", live.len());
    for batch in [1, 2, 3, 7, 1_000] {
        forget(&database.pool).await;
        for projection in projections(&database.pool, batch) {
            run(projection.as_ref(), &database.pool).await;
        }
        assert_eq!(dump(&database.pool).await, live, "in batches of {batch}");
    }
}

#[tokio::test]
async fn a_runner_that_is_killed_in_the_middle_changes_nothing() {
    let database = lived().await;
    let live = dump(&database.pool).await;
    forget(&database.pool).await;
    for (n, projection) in (0_u64..).zip(projections(&database.pool, 4)) {
        let mut cut = 0;
        for pause in 0..60 {
            let pool = pool::connect(database.options.clone(), pool::NAME, 1).await.expect("a pool");
            let turn = projection.turn(&pool);
            // The turn is dropped wherever it stands; its connection goes with it.
            let some = Duration::from_micros(200 + (pause * 137 + n * 61) % 4_000);
            cut += u32::from(tokio::time::timeout(some, turn).await.is_err());
            pool.close().await;
        }
        assert!(cut > 0, "no turn was cut off");
        run(projection.as_ref(), &database.pool).await;
    }
    assert_eq!(dump(&database.pool).await, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runners_that_race_never_count_anything_twice() {
    let database = Arc::new(lived().await);
    let live = dump(&database.pool).await;
    forget(&database.pool).await;
    let mut runners = tokio::task::JoinSet::new();
    for batch in [1, 3, 2] {
        for projection in projections(&database.pool, batch) {
            let pool = database.pool.clone();
            runners.spawn(async move {
                // Without the fence a runner would fold what another has folded.
                for _ in 0..200 {
                    projection.turn(&pool).await.expect("a turn");
                }
            });
        }
    }
    while let Some(done) = runners.join_next().await {
        done.expect("a runner");
    }
    for projection in projections(&database.pool, 1_000) {
        run(projection.as_ref(), &database.pool).await;
    }
    assert_eq!(dump(&database.pool).await, live);
    let rows = sqlx::query(
        "select split_part(e.aggregate_id, '/', 2) as id, e.event_type, count(*) as many,
                (v.body -> 'stats' ->> case e.event_type when 'conversation.message_received' then 'received'
                    when 'conversation.message_queued' then 'queued' when 'conversation.message_sent' then 'sent'
                    when 'conversation.message_delivered' then 'delivered' when 'conversation.message_read' then 'read' end)::bigint as shown
           from events e join conversation_view v on v.key = split_part(e.aggregate_id, '/', 2)
          where e.event_type in ('conversation.message_received', 'conversation.message_queued', 'conversation.message_sent',
                                 'conversation.message_delivered', 'conversation.message_read')
          group by 1, 2, v.body",
    )
    .fetch_all(&database.pool)
    .await
    .expect("counts");
    assert!(rows.len() >= 24, "{}", rows.len());
    for row in rows {
        let (kind, many): (String, i64) = (row.get("event_type"), row.get("many"));
        assert_eq!(row.get::<i64, _>("shown"), many, "{kind}");
    }
    let done: Vec<i64> =
        sqlx::query_scalar("select events_done from projections").fetch_all(&database.pool).await.expect("counts");
    let events: i64 =
        sqlx::query_scalar("select count(*) from events").fetch_one(&database.pool).await.expect("a count");
    assert!(done.iter().all(|it| *it == events), "each event once: {done:?} of {events}");
}
