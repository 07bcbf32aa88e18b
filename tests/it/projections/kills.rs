//! `kill -9` in the middle of a rebuild, connections that break, nodes that share: it goes on, and the end is the same.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use api::config::Cli;
use application::conversations::views::ConversationView;
use application::projections::{ProjectionView, Projections};
use clap::Parser;
use domain::shared::ids::TenantId;
use infrastructure::event_store::projector::{DocumentProjection, Projection};
use infrastructure::event_store::rebuild::Rebuilder;
use infrastructure::event_store::rebuild::admin::PgProjections;
use infrastructure::event_store::waiter;
use infrastructure::postgres::pool;
use rand::Rng;
use serde_json::Value;
use sqlx::PgPool;
use tests::app::eventually;
use tests::cluster::TestDatabase;
use tests::past;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::projections::noted::Noted;

/// What asks the binary to rebuild.
const VARIABLE: &str = "REBUILD_TEST_REBUILDS";
/// Times a rebuilding process is killed before it is done.
const KILLS: usize = 20;
/// Conversations of its log.
const CONVERSATIONS: usize = 2_500;
/// The read model.
pub const NAME: &str = "conversation_view";

pub fn conversations(pool: &PgPool) -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(DocumentProjection::<ConversationView>::new(tests::keys(pool)))]
}

/// A log of so many conversations, projected.
pub async fn projected(many: usize) -> TestDatabase {
    let database = TestDatabase::create().await;
    past::write(&database.pool, TenantId(Uuid::now_v7()), many).await;
    waiter::register(&database.pool, &[NAME]).await.expect("a checkpoint");
    for projection in conversations(&database.pool) {
        super::history::run(projection.as_ref(), &database.pool).await;
    }
    database
}

async fn documents(pool: &PgPool) -> Vec<(Uuid, String, Value)> {
    let select = "select tenant_id, key, body from conversation_view order by tenant_id, key";
    sqlx::query_as(select).fetch_all(pool).await.expect("documents")
}

async fn row(pool: &PgPool) -> ProjectionView {
    PgProjections::new(pool.clone(), conversations(pool)).one(NAME).await.expect("a row")
}

/// Waits until nothing is under way.
pub async fn settled(pool: &PgPool) -> ProjectionView {
    eventually("a live generation", async || {
        let row = row(pool).await;
        (row.status != "rebuilding").then_some(row)
    })
    .await
}

/// A rebuilding process. Dropped, it is killed.
struct Child(std::process::Child);

impl Child {
    async fn start(database: &TestDatabase) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["projections::kills::rebuild_as_child", "--exact", "--nocapture"])
            .env(VARIABLE, "1")
            .env("DATABASE_URL", database.url().await)
            .env("FLOWBOT_SECRET_KEY", tests::SECRET_KEY)
            .env("RUST_LOG", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SIGKILL: no handler, no goodbye.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Not a test of its own: the process the test below kills. Without its variable it has nothing to do.
#[test]
fn rebuild_as_child() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    infrastructure::http_client::install_crypto();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(api::commands::run(Cli::parse_from(["flowbot", "rebuild", NAME]))).expect("it rebuilds");
}

/// Whatever moves when a build moves.
async fn moved(pool: &PgPool) -> (Option<i64>, Option<String>, i64) {
    let state = "select (select sum(revision)::bigint from rebuild_slices), (select max(phase) from projections),
                        (select sum(generation) from projections where role = 'live')";
    sqlx::query_as(state).fetch_one(pool).await.expect("a state")
}

/// A statement may outlive the process that sent it for a moment.
async fn nobody_is_left(pool: &PgPool) {
    let left =
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'flowbot'";
    eventually("the end of what it left", async || {
        let left: i64 = sqlx::query_scalar(left).fetch_one(pool).await.expect("a count");
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_that_is_killed_at_twenty_points_ends_as_a_clean_one() {
    let database = projected(CONVERSATIONS).await;
    let pool = &database.pool;
    let stop = CancellationToken::new();
    let clean = tokio::spawn(Rebuilder::new(pool.clone(), conversations(pool)).run(stop.clone()));
    PgProjections::new(pool.clone(), conversations(pool)).rebuild(NAME, false).await.expect("a rebuild");
    assert_eq!(settled(pool).await.generation, 2);
    stop.cancel();
    clean.await.expect("a worker");
    let wanted = documents(pool).await;
    assert_eq!(wanted.len(), CONVERSATIONS);

    let (mut phases, mut live) = (Vec::new(), 2);
    while phases.len() < KILLS {
        let before = moved(pool).await;
        let child = Child::start(&database).await;
        eventually("a step", async || (moved(pool).await != before).then_some(())).await;
        // Somewhere in the step that follows.
        tokio::time::sleep(Duration::from_micros(rand::rng().random_range(0..60_000))).await;
        drop(child);
        nobody_is_left(pool).await;
        let now = row(pool).await;
        live = now.generation;
        match now.progress {
            Some(progress) => phases.push(progress.phase),
            None => assert!(documents(pool).await == wanted, "generation {live}, killed at {phases:?}"),
        }
    }
    // The last one is left to end.
    let child = Child::start(&database).await;
    let row = settled(pool).await;
    drop(child);
    assert_eq!((row.generation, row.status.as_str()), (live + 1, "running"), "{row:?}");
    assert!(documents(pool).await == wanted, "killed at {phases:?}");
    let differences = row.differences.expect("it was compared");
    assert!(!differences.any() && differences.skipped.is_none(), "{differences:?}");
    assert!(phases.iter().filter(|phase| *phase == "slices").count() >= KILLS / 2, "killed at {phases:?}");
}

#[tokio::test]
async fn connections_that_break_cost_a_page_and_nothing_else() {
    let database = projected(2_000).await;
    let wanted = documents(&database.pool).await;
    let stop = CancellationToken::new();
    let pool = pool::connect(database.options.clone(), "breaks", 8).await.expect("a pool");
    let worker = tokio::spawn(Rebuilder::new(pool.clone(), conversations(&pool)).run(stop.clone()));
    PgProjections::new(database.pool.clone(), conversations(&database.pool))
        .rebuild(NAME, false)
        .await
        .expect("a rebuild");
    let mut broken = 0;
    for _ in 0..12 {
        let break_one = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity
                          where application_name = 'breaks' and datname = current_database() and xact_start is not null
                          order by random() limit 1) victim";
        let count: i64 = sqlx::query_scalar(break_one).fetch_one(&database.pool).await.expect("a broken connection");
        broken += count;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(broken > 0, "none was broken");
    let row = settled(&database.pool).await;
    assert_eq!((row.generation, row.status.as_str()), (2, "running"), "{row:?}");
    assert!(documents(&database.pool).await == wanted);
    stop.cancel();
    worker.await.expect("a worker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_slices() {
    let database = projected(3_000).await;
    let wanted = documents(&database.pool).await;
    let (stop, mut workers, mut nodes) = (CancellationToken::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        let pool = pool::connect(database.options.clone(), pool::NAME, 8).await.expect("a pool");
        let noted = Noted::new(&pool);
        nodes.push(Arc::clone(&noted));
        workers.push(tokio::spawn(Rebuilder::new(pool, vec![noted]).run(stop.clone())));
    }
    let admin = PgProjections::new(database.pool.clone(), conversations(&database.pool));
    let mut shared = false;
    // Who looks first may be done before the other one looks.
    for generation in 2..12 {
        admin.rebuild(NAME, false).await.expect("a rebuild");
        let row = settled(&database.pool).await;
        assert_eq!((row.generation, row.status.as_str()), (generation, "running"), "{row:?}");
        assert!(documents(&database.pool).await == wanted);
        let done = |noted: &Arc<Noted>| noted.take().0.iter().filter(|page| page.events > 0).count();
        let pages: Vec<usize> = nodes.iter().map(done).collect();
        assert_eq!(pages.iter().sum::<usize>(), 8, "each slice is one page, read once: {pages:?}");
        shared = pages.iter().all(|pages| *pages > 0);
        if shared {
            break;
        }
    }
    assert!(shared, "one node did everything");
    stop.cancel();
    for worker in workers {
        worker.await.expect("a worker");
    }
}
