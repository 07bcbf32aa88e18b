//! Pages of any size give the same: streams that end with one, go on over many, or fill one alone.

use std::sync::Arc;

use application::conversations::message_view::MessageView;
use application::conversations::views::ConversationView;
use application::projections::Projections;
use domain::shared::ids::TenantId;
use infrastructure::event_store::projector::{DocumentProjection, Projection};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::rebuild::slices::{Page, Slice};
use infrastructure::event_store::waiter;
use serde_json::Value;
use sqlx::PgPool;
use tests::app::eventually;
use tests::cluster::TestDatabase;
use tests::past;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::projections::history::run;

async fn documents(pool: &PgPool, table: &str) -> Vec<(Uuid, String, Value)> {
    let select = format!("select tenant_id, key, body from {table} order by tenant_id, key");
    sqlx::query_as(&select).fetch_all(pool).await.expect("documents")
}

#[tokio::test]
async fn pages_of_any_size_give_the_same() {
    let database = TestDatabase::create().await;
    let pool = &database.pool;
    for _ in 0..2 {
        past::write(pool, TenantId(Uuid::now_v7()), 12).await;
    }
    let projections: Vec<Arc<dyn Projection>> = vec![
        Arc::new(DocumentProjection::<ConversationView>::new(tests::keys(pool))),
        Arc::new(DocumentProjection::<MessageView>::new(tests::keys(pool))),
    ];
    waiter::register(pool, &["conversation_view", "message_view"]).await.expect("checkpoints");
    let admin = PgProjections::new(pool.clone(), projections.clone());
    for projection in &projections {
        let name = projection.name();
        run(projection.as_ref(), pool).await;
        let wanted = documents(pool, name).await;
        assert!(wanted.len() >= 24, "{}", wanted.len());
        for (generation, limit) in (2..).zip([1, 3, 19, 20, 21, 40, 57, 1_000]) {
            admin.rebuild(name, false).await.expect("a rebuild");
            let mut connection = pool.acquire().await.expect("a connection");
            for slice in 0..8 {
                let slice = Slice { name: name.to_owned(), generation, slice };
                let mut events = 0;
                while let Page::Done(more) = projection.page(&mut connection, &slice, limit).await.expect("a page") {
                    events += more;
                }
                assert_eq!(events % past::EVENTS as i64, 0, "whole streams in pages of {limit}");
            }
            let table = format!("{name}_g{generation}");
            assert!(documents(pool, &table).await == wanted, "{name} in pages of {limit}");
            let done: bool = sqlx::query_scalar("select bool_and(done) from rebuild_slices where name = $1")
                .bind(name)
                .fetch_one(pool)
                .await
                .expect("slices");
            assert!(done, "{name} in pages of {limit}");
            // The worker finds that nothing is left to read, and swaps.
            let stop = CancellationToken::new();
            let worker = tokio::spawn(Rebuilder::new(pool.clone(), projections.clone()).run(stop.clone()));
            eventually("a live generation", async || {
                (admin.one(name).await.expect("a row").generation == generation).then_some(())
            })
            .await;
            stop.cancel();
            worker.await.expect("a worker");
        }
        assert!(documents(pool, name).await == wanted);
    }
}
