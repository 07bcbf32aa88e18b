//! A poison event halts what it poisons and nothing else; a client reads what it wrote.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::app::{TestApp, eventually};
use tests::flows;

use crate::projections::history::{projections, run};

async fn readiness(app: &TestApp) -> (StatusCode, Value) {
    let answer = app.call(Method::GET, "/readyz", None, &[]).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn an_event_nobody_knows_halts_what_needs_all_of_its_aggregates_events_alone_and_says_why() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    account.has_line().await.has_flow("echo", &flows::echo()).await;
    app.customer_writes("972500000001", "hello").await;
    let row = account.conversation_with("972500000001").await;
    assert_eq!(readiness(&app).await.0, StatusCode::OK);

    let poison =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('conversation', $1, 100000, 'conversation.sang', '1', '{\"type\": \"sang\"}', '{}')";
    let stream = format!("{}/{}", account.id, row["id"].as_str().expect("an id"));
    sqlx::query(poison).bind(&stream).execute(&app.database.pool).await.expect("poison");
    let (status, body) = eventually("a halted projection", async || {
        let (status, body) = readiness(&app).await;
        let halted = body["projections"].as_array()?.iter().filter(|it| it["status"] == "halted").count();
        (halted == 1).then_some((status, body))
    })
    .await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    for projection in body["projections"].as_array().expect("a list") {
        let name = projection["name"].as_str().expect("a name");
        let error = projection["error"].as_str().unwrap_or_default();
        let poisoned = name == "conversation_view";
        assert_eq!(poisoned, error.contains("100000") && error.contains(&stream), "{projection}");
    }

    account.post("/api/leads", &json!({ "phone": "+972501234567", "name": "Dana" })).await.ok();
    let leads = account.get("/api/leads").await.ok();
    assert_eq!(leads.as_array().map(Vec::len), Some(1), "the others go on: {leads}");

    // A build that knows the event, or here its end, goes on where it halted.
    let stopped: i64 = sqlx::query_scalar("select events_done from projections where name = 'conversation_view'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    let database = app.stop().await;
    for statement in [
        "alter table events disable trigger events_are_facts",
        "delete from events where event_type = 'conversation.sang'",
        "update projections set status = 'running', error = null",
    ] {
        sqlx::query(statement).execute(&database.pool).await.expect("surgery");
    }
    for projection in projections(&database.pool, 1_000) {
        run(projection.as_ref(), &database.pool).await;
    }
    let (done, events): (i64, i64) = sqlx::query_as(
        "select events_done, (select count(*) from events) from projections where name = 'conversation_view'",
    )
    .fetch_one(&database.pool)
    .await
    .expect("counts");
    assert!(stopped < done && done == events, "{stopped} < {done} = {events}: nothing was skipped or repeated");
}

#[tokio::test]
async fn a_client_reads_what_it_just_wrote() {
    let app = TestApp::start().await;
    let account = app.account("dana").await;
    for n in 1..=15 {
        let written =
            account.post("/api/flows", &json!({ "name": format!("flow {n}"), "drawflowData": flows::echo() })).await;
        assert_eq!(written.header("projection-lag"), None, "it caught up in time");
        let flow = written.ok();
        let path = format!("/api/flows/{}", flow["id"].as_str().expect("an id"));
        assert_eq!(account.get(&path).await.ok()["name"], flow["name"]);
        assert_eq!(account.get("/api/flows").await.ok().as_array().map(Vec::len), Some(n));
        let phone = format!("+9725012345{n:02}");
        account.post("/api/leads", &json!({ "phone": phone, "name": "Dana" })).await.ok();
        let path = format!("/api/leads/{}", phone.replace('+', "%2B"));
        account.put(&path, &json!({ "status": "won" })).await.ok();
        assert_eq!(account.get(&path).await.ok()["status"], "won");
    }
}
