//! The database goes away and comes back: writes say so, nothing acknowledged is lost, nobody has to act.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use infrastructure::postgres::pool;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::app::{Answer, TestApp, eventually};
use tests::cable::Cable;
use tests::cluster::TestDatabase;
use tests::flows;
use tests::webhook::text_message;

const ANNA: &str = "972500000001";

#[track_caller]
fn is_unavailable(what: &str, answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {}", answer.text);
    assert!(answer.header("retry-after").is_some_and(|it| it.parse::<u32>().is_ok()), "{what}: {:?}", answer.headers);
    assert!(answer.body["error"].is_string(), "{what}: {}", answer.text);
}

async fn ready(app: &TestApp) -> bool {
    app.call(Method::GET, "/readyz", None, &[]).await.status == StatusCode::OK
}

#[tokio::test]
async fn without_a_database_writes_answer_503_and_with_it_everything_goes_on() {
    let mut database = TestDatabase::create().await;
    let cable = Cable::to(&database);
    database.options = cable.options.clone();
    let app = TestApp::on(database, Options::default(), RateLimits::lifted()).await;
    let account = app.account("dana").await;
    account.has_line().await.has_flow("echo", &flows::echo()).await;
    app.deliver(&text_message(ANNA, "wamid.1", "one")).await.ok();
    app.wait_for_answers(ANNA, 1).await;

    cable.cut();
    let flow = json!({ "name": "another", "drawflowData": flows::echo() });
    let lead = json!({ "phone": "+972501234567", "name": "Dana" });
    let (webhook, flow, lead, login) = tokio::join!(
        async { app.deliver(&text_message(ANNA, "wamid.2", "two")).await },
        account.post("/api/flows", &flow),
        account.post("/api/leads", &lead),
        async {
            let body = json!({ "username": "dana", "password": "correct horse" });
            app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await
        },
    );
    for (what, answer) in [("a webhook", &webhook), ("a flow", &flow), ("a lead", &lead), ("a login", &login)] {
        is_unavailable(what, answer);
    }
    let readiness = app.call(Method::GET, "/readyz", None, &[]).await;
    is_unavailable("readiness", &readiness);

    cable.mend();
    eventually("a process that is ready again", async || ready(&app).await.then_some(())).await;
    // What was refused was not stored, and is taken now.
    app.deliver(&text_message(ANNA, "wamid.2", "two")).await.ok();
    let answers = app.wait_for_answers(ANNA, 2).await;
    assert!(answers[1].contains("echo two"), "{answers:?}");
    account.post("/api/leads", &json!({ "phone": "+972501234567", "name": "Dana" })).await.ok();
    let flows = account.get("/api/flows").await.ok();
    let names = |flows: &Value| flows.as_array().map(Vec::len);
    assert_eq!(names(&flows), Some(1), "{flows}");
}

#[tokio::test]
async fn what_was_acknowledged_before_the_cut_takes_effect_after_it() {
    let mut database = TestDatabase::create().await;
    let cable = Cable::to(&database);
    database.options = cable.options.clone();
    let app = TestApp::on(database, Options::default(), RateLimits::lifted()).await;
    let account = app.account("dana").await;
    account.has_line().await.has_flow("echo", &flows::echo()).await;
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        for n in 0..15 {
            let phone = format!("9725{round}00{n:04}");
            let taken = app.deliver(&text_message(&phone, &format!("wamid.{round}.{n}"), "hello")).await;
            match taken.status {
                StatusCode::OK => acknowledged.push(phone),
                status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{}", taken.text),
            }
        }
        cable.cut();
        cable.mend();
    }
    assert!(acknowledged.len() >= 15, "{}", acknowledged.len());
    for phone in acknowledged {
        app.wait_for_answers(&phone, 1).await;
        let conversation = account.conversation_with(&phone).await;
        let queued: i64 = sqlx::query_scalar(
            "select count(*) from events where event_type = 'conversation.message_queued' and aggregate_id = $1",
        )
        .bind(format!("{}/{}", account.id, conversation["id"].as_str().expect("an id")))
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
        assert_eq!(queued, 1, "{phone} was answered once");
    }
}

#[tokio::test]
async fn a_connection_that_broke_while_nobody_used_it_is_replaced_unnoticed() {
    let database = TestDatabase::create().await;
    let pool = pool::connect(database.options.clone(), pool::NAME, 1).await.expect("a pool");
    let own = async || sqlx::query_scalar::<_, i32>("select pg_backend_pid()").fetch_one(&pool).await;
    let first = own().await.expect("an answer");
    assert_eq!(own().await.expect("another"), first, "it is kept");
    let broken: bool = sqlx::query_scalar("select pg_terminate_backend($1)")
        .bind(first)
        .fetch_one(&database.pool)
        .await
        .expect("an answer");
    assert!(broken);
    tokio::time::sleep(2 * pool::TRUSTED).await;
    assert_ne!(own().await.expect("an answer all the same"), first);
}
