//! Trouble with a line's account: one incident, whoever tells it and however often.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::app::{LINE, eventually};
use tests::graph::{Call, Reaction};
use tests::webhook::status;

use crate::outbox::stage::{OTHER_LINE, Stage};

const ANNA: &str = "972500000001";
const BEN: &str = "972500000002";
const MONITOR: &str = "/api/monitor/delivery";

/// A line of the account, as the monitor shows it.
async fn line(stage: &Stage, id: &str) -> Value {
    let health = stage.account.get(MONITOR).await.ok();
    let lines = health["lines"].as_array().cloned().unwrap_or_default();
    lines.into_iter().find(|line| line["phoneNumberId"] == id).unwrap_or_default()
}

/// The status that a message failed for want of payment.
fn unpaid(call: &Call) -> Value {
    let mut webhook = status(call.wamid.as_deref().expect("it was taken"), ANNA, "failed", Some(&call.correlation));
    let error = json!([{ "code": 131_042, "title": "Business eligibility payment issue" }]);
    webhook["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"] = error;
    webhook
}

async fn incidents(stage: &Stage) -> i64 {
    sqlx::query_scalar("select count(*) from incidents").fetch_one(stage.pool()).await.expect("a count")
}

/// The value of a gauge or counter.
async fn metric(stage: &Stage, name: &str) -> Option<f64> {
    let text = stage.app.call(reqwest::Method::GET, "/metrics", None, &[]).await.text;
    text.lines().find(|line| line.starts_with(name))?.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn error_131042_of_20_messages_stops_the_line_and_raises_1_incident_that_a_resume_closes() {
    let stage = Stage::set().await;
    let hold = json!({ "action": "pause_line", "phoneNumberId": LINE });
    stage.account.post(MONITOR, &hold).await.ok();
    let customers: Vec<String> = (0..20).map(|n| format!("9725000001{n:02}")).collect();
    for customer in &customers {
        stage.hears(customer, "hello").await;
    }
    eventually("a queue of 20", async || (line(&stage, LINE).await["waiting"] == 20).then_some(())).await;
    stage.graph.plans(|call| if call.line == LINE { Reaction::Refuse(131_042) } else { Reaction::Take });
    let resume = json!({ "action": "resume_line", "phoneNumberId": LINE });
    stage.account.post(MONITOR, &resume).await.ok();
    let stopped = eventually("a stopped line", async || {
        let line = line(&stage, LINE).await;
        (line["state"] == "stopped" && line["inFlight"] == 0).then_some(line)
    })
    .await;
    assert_eq!((&stopped["incident"]["code"], &stopped["waiting"]), (&json!(131_042), &json!(20)), "{stopped}");
    assert!(stopped["stoppedReason"].as_str().is_some_and(|why| why.contains("131042")), "{stopped}");
    assert_eq!(incidents(&stage).await, 1);
    // The recorder is shared with the other tests of this process.
    eventually("the gauge", async || (metric(&stage, "line_incidents_open").await == Some(1.0)).then_some(())).await;
    stage.hears_on(OTHER_LINE, BEN, "hello").await;
    stage.said_is(BEN, "sent").await;

    stage.graph.plans(|_| Reaction::Take);
    let resumed = stage.account.post(MONITOR, &resume).await.ok();
    assert_eq!(
        (&resumed["line"]["state"], &resumed["line"]["incident"]),
        (&json!("running"), &Value::Null),
        "{resumed}"
    );
    stage.taken(21).await;
    let (how, by): (String, String) = sqlx::query_as("select closed_how, closed_by from incidents")
        .fetch_one(stage.pool())
        .await
        .expect("one incident");
    assert_eq!((how.as_str(), by), ("resumed", format!("user:{}", stage.account.id)));
}

#[tokio::test]
async fn error_131042_told_5_times_by_a_status_raises_1_incident_and_none_once_the_line_goes_on() {
    let stage = Stage::set().await;
    stage.hears(ANNA, "hello").await;
    stage.said_is(ANNA, "sent").await;
    let told = unpaid(&stage.graph.taken()[0]);
    join_all((0..5).map(|_| stage.app.deliver(&told))).await.into_iter().for_each(|answer| drop(answer.ok()));
    eventually("a stopped line", async || (line(&stage, LINE).await["state"] == "stopped").then_some(())).await;
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.error.as_deref() == Some("the line is stopped")).await;
    let stopped = line(&stage, LINE).await;
    assert_eq!((&stopped["incident"]["messages"], incidents(&stage).await), (&json!(1), 1), "{stopped}");

    stage.account.has_line().await;
    stage.said_is(BEN, "sent").await;
    stage.app.deliver(&told).await.ok();
    stage.hears(BEN, "again").await;
    stage.taken(3).await;
    let line = line(&stage, LINE).await;
    assert_eq!((&line["state"], incidents(&stage).await), (&json!("running"), 1), "{line}");
    let how: String =
        sqlx::query_scalar("select closed_how from incidents").fetch_one(stage.pool()).await.expect("one");
    assert_eq!(how, "saved");
}

#[tokio::test]
async fn a_paused_line_keeps_its_queue_of_3_and_sends_it_once_it_goes_on() {
    let stage = Stage::set().await;
    for _ in 0..2 {
        let paused = stage.account.post(MONITOR, &json!({ "action": "pause_line", "phoneNumberId": LINE })).await.ok();
        assert_eq!((&paused["line"]["state"], &paused["line"]["incident"]), (&json!("paused"), &Value::Null));
    }
    for customer in [ANNA, BEN, "972500000003"] {
        stage.hears(customer, "hello").await;
    }
    stage.waits(ANNA, |it| it.error.as_deref() == Some("the line is stopped")).await;
    eventually("a queue of 3", async || (line(&stage, LINE).await["waiting"] == 3).then_some(())).await;
    stage.hears_on(OTHER_LINE, "972500000004", "hello").await;
    stage.said_is("972500000004", "sent").await;
    assert!(stage.graph.calls().iter().all(|call| call.line == OTHER_LINE), "nothing went out meanwhile");
    for _ in 0..2 {
        stage.account.post(MONITOR, &json!({ "action": "resume_line", "phoneNumberId": LINE })).await.ok();
    }
    stage.taken(4).await;
    let entries: Vec<(String, String)> = sqlx::query_as(
        "select action, actor from audit_entries where action in ('line.paused', 'line.resumed') order by id",
    )
    .fetch_all(stage.pool())
    .await
    .expect("entries");
    let by = format!("user:{}", stage.account.id);
    assert_eq!(entries, [("line.paused".to_owned(), by.clone()), ("line.resumed".to_owned(), by)], "each once");
}
