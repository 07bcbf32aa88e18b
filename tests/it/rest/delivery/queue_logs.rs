//! What happened in the queue.

use infrastructure::retention;
use serde_json::{Value, json};
use tests::app::{LINE, eventually};
use tests::graph::Reaction;

use super::{ANNA, BEN, CARL, message, refuses, words};
use crate::outbox::stage::{OTHER_LINE, Stage};
use crate::rest::refused;

const LOGS: &str = "/api/webhook/queue-logs";

async fn logs(stage: &Stage, query: &str) -> Value {
    stage.account.get(&format!("{LOGS}?{query}")).await.ok()
}

#[tokio::test]
async fn two_refusals_and_a_send_leave_4_rows() {
    let stage = Stage::set().await;
    stage.graph.plans(|call| if call.times <= 2 { Reaction::Refuse(131_016) } else { Reaction::Take });
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "sent").await;
    let rows = logs(&stage, &format!("messageId={id}")).await;
    assert_eq!(words(&rows, "outcome"), ["sent", "refused", "refused", "queued"], "{rows:#}");
    let refusal = &rows[1];
    assert_eq!(
        (&refusal["code"], &refusal["class"], &refusal["attempts"]),
        (&json!(131_016), &json!("transient"), &json!(2))
    );
    assert!(refusal["nextTryAt"].as_str() > refusal["at"].as_str(), "{refusal}");
    assert!(rows[0]["waitedMs"].as_u64() >= refusal["waitedMs"].as_u64(), "{rows:#}");
    assert_eq!((&rows[0]["phoneNumberId"], &rows[0]["attempts"]), (&json!(LINE), &json!(3)));
    let stored: Vec<String> =
        sqlx::query_scalar("select l::text from queue_log l").fetch_all(stage.pool()).await.expect("rows");
    assert!(stored.iter().all(|row| !row.contains(ANNA) && !row.contains("hello")), "{stored:?}");
}

#[tokio::test]
async fn a_doubt_is_told_from_its_beginning_to_its_end() {
    let stage = Stage::set().await;
    stage.graph.plans(|call| if call.times == 1 { Reaction::TakeAndDie } else { Reaction::Take });
    for customer in [ANNA, BEN] {
        stage.hears(customer, "hello").await;
        stage.waits(customer, |it| it.state == 3).await;
    }
    stage.time_passes(ANNA).await;
    let id = message(&stage, ANNA, "sent").await;
    let told = words(&logs(&stage, &format!("messageId={id}")).await, "outcome");
    assert_eq!(told, ["sent", "resent", "in_doubt", "queued"]);
    let settled = stage.graph.taken().into_iter().find(|call| call.to.ends_with(BEN)).expect("it was taken");
    super::tells(&stage, &settled, "delivered").await;
    let id = message(&stage, BEN, "delivered").await;
    let told = words(&logs(&stage, &format!("messageId={id}")).await, "outcome");
    assert_eq!(told, ["settled", "in_doubt", "queued"]);
}

#[tokio::test]
async fn rows_are_found_by_line_outcome_and_time_page_by_page() {
    let stage = Stage::set().await;
    for customer in [ANNA, BEN] {
        stage.hears(customer, "hello").await;
        stage.said_is(customer, "sent").await;
    }
    stage.hears_on(OTHER_LINE, CARL, "hello").await;
    stage.said_is(CARL, "sent").await;
    let all = eventually("all rows", async || {
        let all = logs(&stage, "limit=200").await;
        (all.as_array().map(Vec::len) == Some(6)).then_some(all)
    })
    .await;
    let stored: i64 = sqlx::query_scalar("select count(*) from queue_log").fetch_one(stage.pool()).await.expect("rows");
    assert_eq!(stored, 5, "Ben's message went straight: the line was known by then");
    assert_eq!(logs(&stage, "outcome=sent").await.as_array().map(Vec::len), Some(3));
    assert_eq!(logs(&stage, "outcome=queued").await.as_array().map(Vec::len), Some(3));
    assert_eq!(logs(&stage, &format!("phoneNumberId={OTHER_LINE}")).await.as_array().map(Vec::len), Some(2));
    assert_eq!(logs(&stage, "outcome=dead").await, json!([]));
    let first = all[5]["at"].as_str().expect("a time");
    assert_eq!(logs(&stage, &format!("from={first}")).await, all);
    assert!(logs(&stage, &format!("to={first}")).await.as_array().is_some_and(|rows| rows.contains(&all[5])));
    assert_eq!(logs(&stage, "from=2100-01-01T00:00:00Z").await, json!([]));

    let (mut rows, mut path) = (Vec::new(), format!("{LOGS}?limit=4"));
    loop {
        let page = stage.account.get(&path).await;
        let cursor = page.header("x-next-cursor").map(str::to_owned);
        rows.extend(page.ok().as_array().cloned().unwrap_or_default());
        let Some(cursor) = cursor else { break };
        path = format!("{LOGS}?limit=4&cursor={cursor}");
    }
    assert_eq!(json!(rows), all);
    for wrong in ["outcome=lost", "from=yesterday", "from=1-2-3", "messageId=x", "limit=0", "cursor=617e62"] {
        refused(&stage.account.get(&format!("{LOGS}?{wrong}")).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_message_that_went_straight_and_is_put_back_is_told_of_as_queued() {
    let stage = Stage::set().await;
    stage.hears(ANNA, "hello").await;
    stage.said_is(ANNA, "sent").await;
    stage.graph.plans(refuses(131_042));
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.state == 0 && it.error.is_some()).await;
    // The line is known and nothing of Carl's is on its way: his goes straight, and finds the line stopped.
    stage.hears(CARL, "hello").await;
    stage.waits(CARL, |it| it.state == 0 && it.error.is_some()).await;
    let id = message(&stage, CARL, "queued").await;
    let rows = logs(&stage, &format!("messageId={id}")).await;
    assert_eq!(words(&rows, "outcome"), ["queued"], "{rows:#}");
}

#[tokio::test]
async fn dead_letters_of_31_days_and_rows_of_31_days_are_gone() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "failed").await;
    assert_eq!(retention::sweep(stage.pool()).await.expect("a sweep"), 0, "nothing is old");
    for (table, column) in [("outbox", "created_at"), ("queue_log", "at")] {
        let past = format!("update {table} set {column} = {column} - interval '31 days'");
        sqlx::query(&past).execute(stage.pool()).await.expect("time passes");
    }
    assert_eq!(retention::sweep(stage.pool()).await.expect("a sweep"), 3);
    let left = logs(&stage, &format!("messageId={id}")).await;
    assert_eq!(words(&left, "outcome"), ["expired"]);
}
