//! The delivery monitor: how all stands, one message in full, what is sent again and what never is.

mod queue_logs;
mod retries;

use serde_json::{Value, json};
use tests::app::{Answer, LINE, TestApp, eventually};
use tests::graph::{Call, Reaction};
use tests::webhook::status;
use uuid::Uuid;

use super::refused;
use crate::outbox::stage::{OTHER_LINE, Stage};

const ANNA: &str = "972500000001";
const BEN: &str = "972500000002";
const CARL: &str = "972500000003";
const MONITOR: &str = "/api/monitor/delivery";

async fn act(stage: &Stage, body: &Value) -> Answer {
    stage.account.post(MONITOR, body).await
}

async fn audit(stage: &Stage, message: &str) -> Value {
    act(stage, &json!({ "action": "audit", "messageId": message })).await.ok()["message"].clone()
}

/// The id of our last message to this customer, once it stands so.
async fn message(stage: &Stage, to: &str, status: &str) -> String {
    stage.said_is(to, status).await["id"].as_str().expect("an id").to_owned()
}

async fn tells(stage: &Stage, call: &Call, what: &str) {
    let wamid = call.wamid.as_deref().expect("it was taken");
    stage.app.deliver(&status(wamid, call.to.trim_start_matches('+'), what, Some(&call.correlation))).await.ok();
}

fn refuses(code: i64) -> impl Fn(&Call) -> Reaction + Send + Sync + 'static {
    move |_| Reaction::Refuse(code)
}

/// The words of one member of every row.
fn words(rows: &Value, member: &str) -> Vec<String> {
    rows.as_array().expect("rows").iter().map(|row| row[member].as_str().expect("a word").to_owned()).collect()
}

#[tokio::test]
async fn lines_show_their_queue_their_day_and_what_failed() {
    let stage = Stage::set().await;
    for customer in [ANNA, BEN] {
        stage.hears(customer, "hello").await;
        stage.said_is(customer, "sent").await;
    }
    tells(&stage, &stage.graph.taken()[0], "read").await;
    stage.said_is(ANNA, "read").await;
    stage.graph.plans(refuses(131_026));
    for customer in [CARL, "972500000004"] {
        stage.hears(customer, "hello").await;
        stage.said_is(customer, "failed").await;
    }
    stage.graph.plans(|_| Reaction::Take);
    stage.hears_on(OTHER_LINE, CARL, "on the other line").await;
    stage.taken(3).await;
    let health = eventually("the whole day", async || {
        let health = stage.account.get(MONITOR).await.ok();
        (health["totals"]["last24h"]["sent"] == 3 && health["totals"]["inFlight"] == 0).then_some(health)
    })
    .await;
    let line = &health["lines"][0];
    assert_eq!((&line["phoneNumberId"], &line["state"], &line["dead"]), (&json!(LINE), &json!("running"), &json!(2)));
    let day = json!({ "queued": 4, "sent": 2, "delivered": 1, "read": 1, "failed": 2, "deliveredRate": 0.5, "readRate": 1.0 });
    assert_eq!(line["last24h"], day, "{health:#}");
    let other = &health["lines"][1];
    assert_eq!((&other["last24h"]["sent"], &other["last24h"]["deliveredRate"]), (&json!(1), &json!(0.0)), "{other}");
    assert_eq!(
        (&health["totals"]["lines"], &health["totals"]["dead"], &health["totals"]["stale"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert_eq!((health["failed"].as_array().map(Vec::len), &health["stale"]), (Some(2), &json!([])));
    assert_eq!(health["failed"][1]["waPhoneNumber"], format!("+{CARL}"), "the newest first");

    let first = stage.account.get(&format!("{MONITOR}?view=failed&limit=1")).await;
    let cursor = first.header("x-next-cursor").expect("a second page").to_owned();
    let second = stage.account.get(&format!("{MONITOR}?view=failed&limit=1&cursor={cursor}")).await;
    assert_eq!(second.header("x-next-cursor"), None);
    let pages = json!([first.ok()["messages"][0], second.ok()["messages"][0]]);
    assert_eq!(pages, health["failed"]);
    let error = &pages[0]["error"];
    assert_eq!((&error["code"], &error["class"]), (&json!(131_026), &json!("recipient")));
    assert!(error["meaning"].as_str().is_some_and(|words| words.contains("cannot be reached")), "{error}");
}

#[tokio::test]
async fn what_waits_16_minutes_is_stale_and_what_is_in_doubt_is_listed() {
    let stage = Stage::set().await;
    stage.graph.plans(|_| Reaction::TakeAndDie);
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 3).await;
    act(&stage, &json!({ "action": "pause_line", "phoneNumberId": LINE })).await.ok();
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.error.is_some()).await;
    let waiting = stage.account.get(&format!("{MONITOR}?view=stale")).await.ok();
    assert_eq!(waiting, json!({ "view": "stale", "messages": [] }));
    sqlx::query("update outbox set created_at = created_at - interval '16 minutes' where state = 0")
        .execute(stage.pool())
        .await
        .expect("time passes");
    let stale = stage.account.get(&format!("{MONITOR}?view=stale")).await.ok();
    assert_eq!(words(&stale["messages"], "waPhoneNumber"), [format!("+{BEN}")]);
    let doubtful = stage.account.get(&format!("{MONITOR}?view=doubtful")).await.ok();
    assert_eq!(words(&doubtful["messages"], "state"), ["in_doubt"]);
    let line = stage.account.get(MONITOR).await.ok()["lines"][0].clone();
    assert_eq!((&line["stale"], &line["inDoubt"], &line["waiting"]), (&json!(1), &json!(1), &json!(1)), "{line}");
    assert!(line["oldestWaitingSec"].as_u64().is_some_and(|seconds| seconds >= 960), "{line}");
}

#[tokio::test]
async fn an_audit_tells_what_happened_where_it_is_and_what_comes_next() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "failed").await;
    let told = audit(&stage, &id).await;
    assert_eq!(words(&told["events"], "type"), ["conversation.message_queued", "conversation.message_failed"]);
    assert_eq!(words(&told["log"], "outcome"), ["dead", "queued"], "{told:#}");
    assert_eq!((&told["queue"]["state"], &told["queue"]["attempts"]), (&json!("dead"), &json!(1)));
    assert_eq!((&told["error"]["code"], &told["next"]["step"]), (&json!(131_026), &json!("retry_by_person")));
    assert_eq!((&told["line"]["state"], &told["message"]["text"]), (&json!("running"), &json!("echo hello")));

    stage.graph.plans(|_| Reaction::TakeAndDie);
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.state == 3).await;
    let id = message(&stage, BEN, "queued").await;
    let told = audit(&stage, &id).await;
    assert_eq!((&told["queue"]["state"], &told["next"]["step"]), (&json!("in_doubt"), &json!("await_status")));
    assert_eq!(told["next"]["at"], told["queue"]["dueAt"]);
    stage.hears(BEN, "behind it").await;
    let behind = eventually("a second message", async || {
        let said = stage.said(BEN).await;
        (said["text"] == "echo behind it").then(|| said["id"].as_str().expect("an id").to_owned())
    })
    .await;
    let told = audit(&stage, &behind).await;
    assert_eq!((&told["queue"]["ahead"], &told["next"]["step"]), (&json!(1), &json!("wait_for_earlier")), "{told:#}");
    act(&stage, &json!({ "action": "pause_line", "phoneNumberId": LINE })).await.ok();
    assert_eq!(audit(&stage, &behind).await["next"]["step"], "wait_for_line");
}

#[tokio::test]
async fn others_see_nothing_and_administrators_look_into_any_account() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "failed").await;
    let eve = stage.app.account("eve").await;
    let nobodys = Uuid::new_v4().to_string();
    for action in ["audit", "retry"] {
        let foreign = eve.post(MONITOR, &json!({ "action": action, "messageId": id })).await;
        let unknown = eve.post(MONITOR, &json!({ "action": action, "messageId": nobodys })).await;
        refused(&foreign, 404, "not_found");
        assert_eq!(foreign.body, unknown.body);
    }
    for action in ["pause_line", "resume_line"] {
        refused(&eve.post(MONITOR, &json!({ "action": action, "phoneNumberId": LINE })).await, 404, "not_found");
    }
    let batch = eve.post(MONITOR, &json!({ "action": "retry_failed" })).await.ok();
    assert_eq!(batch["batch"], json!({ "retried": 0, "refused": [], "left": 0 }));
    let theirs = format!("account={}", stage.account.id);
    refused(&eve.get(&format!("{MONITOR}?{theirs}")).await, 403, "forbidden");
    refused(&eve.get(&format!("/api/webhook/queue-logs?{theirs}")).await, 403, "forbidden");
    assert_eq!(eve.get("/api/webhook/queue-logs").await.ok(), json!([]));
    assert_eq!(eve.get(MONITOR).await.ok()["lines"], json!([]));

    let admin = stage.app.admin().await;
    assert_eq!(admin.get(MONITOR).await.ok()["lines"], json!([]), "their own account has none");
    assert_eq!(admin.get(&format!("{MONITOR}?{theirs}")).await.ok()["totals"]["dead"], 1);
    assert_eq!(admin.get(&format!("/api/webhook/queue-logs?{theirs}")).await.ok()[0]["outcome"], "dead");
    let told = admin.post(&format!("{MONITOR}?{theirs}"), &json!({ "action": "audit", "messageId": id })).await.ok();
    assert_eq!(told["message"]["message"]["id"], id.as_str());
}

#[tokio::test]
async fn a_client_that_may_read_reports_changes_nothing() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "failed").await;
    let client = client(&stage.app, &stage).await;
    client.get(MONITOR).await.ok();
    client.get("/api/webhook/queue-logs").await.ok();
    client.post(MONITOR, &json!({ "action": "audit", "messageId": id })).await.ok();
    for change in [
        json!({ "action": "retry", "messageId": id }),
        json!({ "action": "retry_failed" }),
        json!({ "action": "pause_line", "phoneNumberId": LINE }),
        json!({ "action": "resume_line", "phoneNumberId": LINE }),
    ] {
        refused(&client.post(MONITOR, &change).await, 403, "forbidden");
    }
    assert_eq!(stage.graph.calls().len(), 1);
}

/// A client with the account's API credentials.
async fn client(app: &TestApp, stage: &Stage) -> tests::app::SignedIn {
    let approved = json!({ "apiAccessApproved": true });
    app.admin().await.put(&format!("/api/users/{}", stage.account.id), &approved).await.ok();
    let keys = stage.account.post("/api/settings/api-access", &Value::Null).await.ok();
    let asked = json!({ "clientId": keys["clientId"], "apiKey": keys["apiKey"] });
    let token = app.call(reqwest::Method::POST, "/api/auth/api-token", Some(&asked), &[]).await.ok();
    app.bearer(token["accessToken"].as_str().expect("a token"), &stage.account.id)
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let stage = Stage::set().await;
    for wrong in [
        json!({}),
        json!({ "action": "delete" }),
        json!({ "action": "retry" }),
        json!({ "action": "audit", "messageId": "x" }),
        json!({ "action": "pause_line" }),
        json!({ "action": "retry_failed", "line": LINE }),
    ] {
        refused(&act(&stage, &wrong).await, 400, "invalid_request");
    }
    for wrong in ["view=dead", "limit=0", "view=failed&cursor=zz", "view=stale&cursor=617e62"] {
        refused(&stage.account.get(&format!("{MONITOR}?{wrong}")).await, 400, "invalid_request");
    }
}
