//! When what events say has changed, as by erasure, their documents are folded anew wherever they are.

use std::sync::Arc;

use application::leads::views::LeadView;
use application::projections::Projections;
use domain::shared::ids::StreamId;
use infrastructure::event_store::generations::Which;
use infrastructure::event_store::projector::{DocumentProjection, Projection};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::rebuild::slices::{self, Page, Slice};
use infrastructure::event_store::waiter;
use serde_json::Value;
use sqlx::PgPool;
use tests::app::eventually;
use tokio_util::sync::CancellationToken;

use crate::event_store::given::{Log, append, set};
use crate::projections::history::run;

const NAME: &str = "lead_view";

fn leads(pool: &PgPool) -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(DocumentProjection::<LeadView>::new(tests::keys(pool)))]
}

/// A log of leads, each with a secret, projected.
async fn log(many: u32) -> (Log, Vec<StreamId>) {
    let log = Log::empty().await;
    waiter::register(&log.database.pool, &[NAME]).await.expect("a checkpoint");
    let mut streams = Vec::new();
    for n in 0..many {
        let stream = log.stream(n);
        log.appender.append(append(&stream, 0, &[log.captured(n), set("secret", "hunter2")])).await.expect("a lead");
        streams.push(stream);
    }
    run(leads(&log.database.pool)[0].as_ref(), &log.database.pool).await;
    (log, streams)
}

/// What erasure leaves: the events stand, and say less.
async fn erase(pool: &PgPool, stream: &StreamId) {
    for statement in [
        "alter table events disable trigger events_are_facts".to_owned(),
        format!(
            "update events set payload = replace(payload::text, 'hunter2', 'erased')::json where aggregate_id = '{stream}'"
        ),
        "alter table events enable trigger events_are_facts".to_owned(),
    ] {
        sqlx::query(&statement).execute(pool).await.expect("an erasure");
    }
}

async fn secret(pool: &PgPool, table: &str, stream: &StreamId) -> Option<String> {
    let select = format!("select body #>> '{{fields,secret}}' from {table} where tenant_id = $1 and key = $2");
    sqlx::query_scalar(&select)
        .bind(stream.tenant.0)
        .bind(stream.id.to_string())
        .fetch_optional(pool)
        .await
        .expect("a document")
}

async fn rebuilt(pool: &PgPool, generation: i32) {
    let admin = PgProjections::new(pool.clone(), leads(pool));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), leads(pool)).run(stop.clone()));
    eventually("a live generation", async || {
        let row = admin.one(NAME).await.expect("a row");
        (row.status == "running" && row.generation == generation).then_some(())
    })
    .await;
    stop.cancel();
    worker.await.expect("a worker");
}

#[tokio::test]
async fn every_generation_is_folded_up_to_where_it_stands() {
    let (log, streams) = log(4).await;
    let pool = &log.database.pool;
    PgProjections::new(pool.clone(), leads(pool)).rebuild(NAME, false).await.expect("a rebuild");
    rebuilt(pool, 2).await;
    // One more event, which the live one takes in and the former does not.
    log.appender.append(append(&streams[0], 2, &[set("later", "yes")])).await.expect("an event");
    run(leads(pool)[0].as_ref(), pool).await;
    erase(pool, &streams[0]).await;
    let stray = log.stream(99);
    leads(pool)[0].refold(pool, &[streams[0].clone(), stray]).await.expect("a refold");
    for table in ["lead_view", "lead_view_g1"] {
        assert_eq!(secret(pool, table, &streams[0]).await.as_deref(), Some("erased"), "{table}");
        assert_eq!(secret(pool, table, &streams[1]).await.as_deref(), Some("hunter2"), "{table}");
    }
    let later = "select body #>> '{fields,later}' from lead_view_g1 where key = $1";
    let later: Option<String> =
        sqlx::query_scalar(later).bind(streams[0].id.to_string()).fetch_one(pool).await.expect("a document");
    assert_eq!(later, None, "the former generation is not there yet");
    let mut connection = pool.acquire().await.expect("a connection");
    let former = leads(pool)[0].turn_of(&mut connection, Which::Numbered(1), 1_000).await;
    former.expect("a turn");
    let bodies = "select (select jsonb_agg(body order by key) from lead_view) = (select jsonb_agg(body order by key) from lead_view_g1)";
    let same: bool = sqlx::query_scalar(bodies).fetch_one(pool).await.expect("a comparison");
    assert!(same, "and goes on from there");
}

#[tokio::test]
async fn what_is_gone_from_the_log_is_gone_from_the_model() {
    let (log, streams) = log(2).await;
    let pool = &log.database.pool;
    let ghost = "update lead_view set body = '{\"phone\": \"ghost\"}' where key = $1";
    sqlx::query(ghost).bind(streams[1].id.to_string()).execute(pool).await.expect("a ghost");
    leads(pool)[0].refold(pool, &streams).await.expect("a refold");
    let phones: Vec<Value> =
        sqlx::query_scalar("select body -> 'phone' from lead_view").fetch_all(pool).await.expect("phones");
    assert!(phones.len() == 2 && phones.iter().all(|phone| phone != "ghost"), "{phones:?}");
}

#[tokio::test]
async fn a_build_that_is_read_meanwhile_holds_nothing_from_before() {
    let (log, streams) = log(200).await;
    let pool = &log.database.pool;
    PgProjections::new(pool.clone(), leads(pool)).rebuild(NAME, false).await.expect("a rebuild");
    let slice = |slice| Slice { name: NAME.to_owned(), generation: 2, slice };
    // Half of the slices are in when a contact in each half is erased.
    let mut connection = pool.acquire().await.expect("a connection");
    for n in 0..4 {
        assert!(matches!(
            leads(pool)[0].page(&mut connection, &slice(n), 10_000).await.expect("a page"),
            Page::Done(1..)
        ));
    }
    let inside: Vec<String> = sqlx::query_scalar("select key from lead_view_g2").fetch_all(pool).await.expect("keys");
    assert!(inside.len() > 20 && inside.len() < 180, "{}", inside.len());
    let is_inside = |stream: &&StreamId| inside.contains(&stream.id.to_string());
    let early = streams.iter().find(is_inside).expect("one that is in");
    let late = streams.iter().find(|stream| !is_inside(stream)).expect("one that is not");
    // A page of the second half has read the events, and is held just before it is stored.
    let mut gate = pool.begin().await.expect("a transaction");
    // A lock that takes no transaction id: it must not hold up every reader of the log.
    sqlx::query("lock table rebuild_slices in share mode").execute(&mut *gate).await.expect("a gate");
    let pages: Vec<_> = (4..8)
        .map(|n| {
            let (pool, slice) = (pool.clone(), slice(n));
            tokio::spawn(async move {
                let mut connection = pool.acquire().await.expect("a connection");
                slices::page::<LeadView>(&mut connection, &tests::keys(&pool), &slice, 10_000).await.expect("a page")
            })
        })
        .collect();
    eventually("four pages that wait", async || {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.expect("a count");
        (waiting == 4).then_some(())
    })
    .await;
    for stream in [early, late] {
        erase(pool, stream).await;
    }
    sqlx::query("update rebuild_slices set revision = nextval('rebuild_revision')")
        .execute(&mut *gate)
        .await
        .expect("news");
    gate.commit().await.expect("an open gate");
    for page in pages {
        assert_eq!(page.await.expect("a page"), Page::NotOurs, "what it rests on has changed");
    }
    leads(pool)[0].refold(pool, &[early.clone(), late.clone()]).await.expect("a refold");
    assert_eq!(secret(pool, "lead_view_g2", early).await.as_deref(), Some("erased"));
    assert_eq!(secret(pool, "lead_view_g2", late).await, None, "its slice is not there yet");
    rebuilt(pool, 2).await;
    for stream in [early, late] {
        assert_eq!(secret(pool, "lead_view", stream).await.as_deref(), Some("erased"));
    }
    let leads: i64 = sqlx::query_scalar("select count(*) from lead_view").fetch_one(pool).await.expect("a count");
    assert_eq!(leads, 200);
}
