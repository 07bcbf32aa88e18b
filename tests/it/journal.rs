//! Webhooks after their 200: whoever dies, whatever comes too early or cannot be understood, nothing is lost.

use std::sync::Arc;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tests::app::{LINE, TestApp, eventually};
use tests::cluster::TestDatabase;
use tests::flows;
use tests::graph::{Graph, Reaction};
use tests::webhook::{envelope, status, text_message};
use tokio::sync::Semaphore;
use uuid::Uuid;

const ANNA: &str = "972500000001";

async fn journalled(pool: &PgPool, owner: Uuid, webhook: &Value) {
    sqlx::query("insert into webhook_journal (source, body, lines, owner) values ('whatsapp', $1, $2, $3)")
        .bind(webhook.to_string().into_bytes())
        .bind(json!([LINE]))
        .bind(owner)
        .execute(pool)
        .await
        .expect("a row");
}

async fn count(pool: &PgPool, what: &str) -> i64 {
    let count = format!("select count(*) from {what}");
    sqlx::query_scalar(&count).fetch_one(pool).await.expect("a count")
}

async fn with_echo(app: &TestApp) -> tests::app::SignedIn {
    let account = app.account("dana").await;
    account.has_line().await.has_flow("echo", &flows::echo()).await;
    account
}

#[tokio::test]
async fn webhooks_of_a_node_that_is_gone_are_taken_over() {
    let app = TestApp::start().await;
    with_echo(&app).await;
    let pool = &app.database.pool;
    let (gone, never_seen) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query("insert into nodes values ($1, now() - interval '1 second')")
        .bind(gone)
        .execute(pool)
        .await
        .expect("a node");
    journalled(pool, gone, &text_message(ANNA, "wamid.1", "one")).await;
    assert_eq!(app.wait_for_answers(ANNA, 1).await.len(), 1);
    // A node that was declared gone, journalled once more, and died before it could say that it lived.
    journalled(pool, never_seen, &text_message(ANNA, "wamid.2", "two")).await;
    let answers = app.wait_for_answers(ANNA, 2).await;
    assert!(answers[0].contains("echo one") && answers[1].contains("echo two"), "{answers:?}");
    eventually("a clean journal", async || (count(pool, "webhook_journal where state = 0").await == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn webhooks_of_a_node_that_lives_are_left_to_it() {
    let app = TestApp::start().await;
    with_echo(&app).await;
    let pool = &app.database.pool;
    let (alive, gone) = (Uuid::now_v7(), Uuid::now_v7());
    let node = "insert into nodes values ($1, now() + $2::interval)";
    sqlx::query(node).bind(alive).bind("1 hour").execute(pool).await.expect("a node");
    journalled(pool, alive, &text_message(ANNA, "wamid.1", "one")).await;
    journalled(pool, gone, &text_message(ANNA, "wamid.2", "two")).await;
    app.wait_for_answers(ANNA, 1).await;
    let owner: Uuid =
        sqlx::query_scalar("select owner from webhook_journal where state = 0").fetch_one(pool).await.expect("one row");
    assert_eq!(owner, alive);
}

#[tokio::test]
async fn a_status_that_comes_before_its_message_is_put_off_and_settles() {
    let graph = Graph::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    graph.plans(move |_| Reaction::TakeWhen(Arc::clone(&closed)));
    let options = Options { meta_graph_url: Some(graph.url.clone()), ..Options::default() };
    let app = TestApp::start_with(options, RateLimits::lifted()).await;
    let account = with_echo(&app).await;
    app.deliver(&text_message(ANNA, "wamid.1", "hello")).await.ok();
    let call = eventually("a send", async || graph.taken().into_iter().next()).await;
    // Without our correlation only the wamid leads to the message, and nobody knows it yet.
    app.deliver(&status(call.wamid.as_deref().expect("a wamid"), ANNA, "delivered", None)).await.ok();
    let put_off = "webhook_journal where state = 0 and attempts > 0 and reason like '%no message of ours%'";
    let pool = &app.database.pool;
    eventually("a webhook that is put off", async || (count(pool, put_off).await == 1).then_some(())).await;
    gate.add_permits(1);
    let path = "/api/conversations?phone=%2B972500000001&stats=true";
    eventually("a delivered message", async || {
        let rows = account.get(path).await.ok();
        (rows[0]["stats"]["delivered"] == 1).then_some(())
    })
    .await;
    eventually("a clean journal", async || (count(pool, "webhook_journal where state <> 1").await == 0).then_some(()))
        .await;
    assert_eq!(count(pool, "parked_elements").await, 0);
}

#[tokio::test]
async fn what_is_not_understood_is_kept_with_its_reason_and_hurts_no_neighbour() {
    let app = TestApp::start().await;
    with_echo(&app).await;
    let metadata = json!({ "display_phone_number": "15550001111", "phone_number_id": LINE });
    let mut webhook = text_message(ANNA, "wamid.1", "hello");
    let changes = webhook["entry"][0]["changes"].as_array_mut().expect("changes");
    let stranger = envelope(&json!({ "messaging_product": "whatsapp", "metadata": { "phone_number_id": "999" },
        "messages": [{ "from": ANNA, "id": "wamid.9", "timestamp": "1795000000", "type": "text", "text": { "body": "hi" } }] }));
    let nobody = envelope(&json!({ "messaging_product": "whatsapp", "metadata": metadata,
        "messages": [{ "id": "wamid.8", "timestamp": "1795000000", "type": "text", "text": { "body": "from nobody" } }] }));
    changes.insert(0, stranger["entry"][0]["changes"][0].clone());
    changes.insert(0, nobody["entry"][0]["changes"][0].clone());
    changes.insert(0, json!({ "field": "moon_phase", "value": { "full": true } }));
    app.deliver(&webhook).await.ok();
    app.wait_for_answers(ANNA, 1).await;
    let pool = &app.database.pool;
    eventually("a parked webhook", async || (count(pool, "webhook_journal where state = 2").await == 1).then_some(()))
        .await;
    let reasons: Vec<String> = sqlx::query_scalar("select reason from parked_elements order by reason")
        .fetch_all(pool)
        .await
        .expect("reasons");
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason == "no account has the line 999"), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("moon_phase")), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.len() > 8), "{reasons:?}");
}

/// A process that dies: its runtime goes, and every task with it.
#[test]
fn a_crash_between_the_journal_and_the_processing_loses_nothing() {
    let doomed = tokio::runtime::Runtime::new().expect("a runtime");
    let (name, options) = doomed.block_on(async {
        let app = TestApp::start().await;
        with_echo(&app).await;
        let mut lock = app.database.pool.begin().await.expect("a transaction");
        sqlx::query("lock table events in access exclusive mode").execute(&mut *lock).await.expect("a lock");
        for n in 0..20 {
            app.deliver(&text_message(&format!("97250000{n:04}"), &format!("wamid.{n}"), "hello")).await.ok();
        }
        assert_eq!(
            count(&app.database.pool, "webhook_journal where state = 0").await,
            20,
            "acknowledged, not processed"
        );
        let place = (app.database.name.clone(), app.database.options.clone());
        std::mem::forget((lock, app));
        place
    });
    doomed.shutdown_background();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let pool = PgPoolOptions::new().connect_with(options.clone()).await.expect("a connection");
        let forsaken = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::query(forsaken).execute(&pool).await.expect("the dead process's connections");
        let app = TestApp::on(TestDatabase { name, options, pool }, Options::default(), RateLimits::lifted()).await;
        for n in 0..20 {
            assert_eq!(app.wait_for_answers(&format!("97250000{n:04}"), 1).await.len(), 1);
        }
        let received = "events where event_type = 'conversation.message_received'";
        assert_eq!(count(&app.database.pool, received).await, 20);
    });
}

#[tokio::test]
async fn what_waits_too_long_for_a_lock_is_tried_again() {
    let app = TestApp::start().await;
    app.account("dana").await.has_line().await.has_flow("echo", &flows::echo()).await;
    let mut lock = app.database.pool.begin().await.expect("a transaction");
    let hold = "set local idle_in_transaction_session_timeout = 0; lock table events in share mode";
    sqlx::raw_sql(hold).execute(&mut *lock).await.expect("a lock");
    app.customer_writes("972501234567", "hello").await;
    // Longer than a statement waits for a lock: 10 s.
    tokio::time::sleep(std::time::Duration::from_millis(10_500)).await;
    lock.rollback().await.expect("the lock is gone");
    assert_eq!(app.wait_for_answers("972501234567", 1).await.len(), 1);
    assert_eq!(count(&app.database.pool, "parked_elements").await, 0);
}
