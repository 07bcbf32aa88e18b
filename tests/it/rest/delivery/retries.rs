//! What failed is sent once more, by a person, once; what may still arrive never is.

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{LINE, eventually};
use tests::graph::Reaction;
use tests::webhook::{status, text_message};

use super::{ANNA, BEN, CARL, MONITOR, act, audit, message, refuses, tells, words};
use crate::outbox::stage::{OTHER_LINE, Stage};
use crate::rest::refused;

async fn retry(stage: &Stage, id: &str) -> tests::app::Answer {
    act(stage, &json!({ "action": "retry", "messageId": id })).await
}

#[tokio::test]
async fn a_dead_letter_is_sent_once_more_and_the_history_says_who_asked() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "failed").await;
    stage.graph.plans(|_| Reaction::Take);
    let key = "0b0e3f7e-retry";
    let body = json!({ "action": "retry", "messageId": id });
    let asked = join_all((0..3).map(|_| stage.account.keyed(key, Method::POST, MONITOR, Some(&body)))).await;
    assert!(asked.iter().any(|answer| answer.status.is_success()), "{asked:?}");
    let sent = stage.said_is(ANNA, "sent").await;
    assert_eq!((&sent["id"], &sent["retries"], &sent["error"]), (&json!(id), &json!(1), &Value::Null));
    assert_eq!(stage.graph.calls().len(), 2);
    assert!(stage.waiting(ANNA).await.is_none(), "no dead letter is left");

    let told = audit(&stage, &id).await;
    let types = words(&told["events"], "type");
    let expected = ["message_queued", "message_failed", "message_retried", "message_sent"];
    assert_eq!(types, expected.map(|word| format!("conversation.{word}")));
    assert_eq!(told["events"][2]["actor"], format!("user:{}", stage.account.id));
    assert_eq!(words(&told["log"], "outcome"), ["sent", "retried", "dead", "queued"]);
    refused(&retry(&stage, &id).await, 409, "message_not_failed");
    assert_eq!(stage.graph.calls().len(), 2);
}

#[tokio::test]
async fn what_waits_is_on_its_way_in_doubt_or_has_arrived_is_never_sent_again() {
    let stage = Stage::set().await;
    act(&stage, &json!({ "action": "pause_line", "phoneNumberId": OTHER_LINE })).await.ok();
    stage.hears_on(OTHER_LINE, CARL, "hello").await;
    stage.waits(CARL, |it| it.error.is_some()).await;
    let waiting = message(&stage, CARL, "queued").await;
    refused(&retry(&stage, &waiting).await, 409, "message_waiting");

    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let closed = std::sync::Arc::clone(&gate);
    stage.graph.plans(move |_| Reaction::TakeWhen(std::sync::Arc::clone(&closed)));
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.state == 1).await;
    let flying = message(&stage, BEN, "queued").await;
    refused(&retry(&stage, &flying).await, 409, "message_in_flight");
    gate.add_permits(1);
    stage.said_is(BEN, "sent").await;
    refused(&retry(&stage, &flying).await, 409, "message_not_failed");

    stage.graph.plans(|_| Reaction::TakeAndDie);
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 3).await;
    let doubtful = message(&stage, ANNA, "queued").await;
    refused(&retry(&stage, &doubtful).await, 409, "message_in_doubt");
    for arrived in ["delivered", "read"] {
        tells(&stage, &stage.graph.taken()[1], arrived).await;
        stage.said_is(ANNA, arrived).await;
        refused(&retry(&stage, &doubtful).await, 409, "message_not_failed");
    }
    assert_eq!(stage.graph.calls().len(), 2);
}

#[tokio::test]
async fn a_failure_of_the_first_try_told_5_times_more_does_not_touch_the_second() {
    let stage = Stage::set().await;
    stage.hears(ANNA, "hello").await;
    let id = message(&stage, ANNA, "sent").await;
    let first = stage.graph.taken()[0].clone();
    tells(&stage, &first, "failed").await;
    stage.said_is(ANNA, "failed").await;
    act(&stage, &json!({ "action": "pause_line", "phoneNumberId": LINE })).await.ok();
    retry(&stage, &id).await.ok();
    stage.waits(ANNA, |it| it.state == 0 && it.error.as_deref() == Some("the line is stopped")).await;

    let wamid = first.wamid.as_deref().expect("it was taken");
    let late = status(wamid, ANNA, "failed", Some(&first.correlation));
    join_all((0..5).map(|_| stage.app.deliver(&late))).await.into_iter().for_each(|answer| drop(answer.ok()));
    // The same without what went along with the message.
    stage.app.deliver(&status(wamid, ANNA, "failed", None)).await.ok();
    eventually("an empty journal", async || {
        let left = sqlx::query_scalar("select count(*) from webhook_journal where state = 0");
        (left.fetch_one(stage.pool()).await.ok() == Some(0_i64)).then_some(())
    })
    .await;
    assert_eq!(stage.said(ANNA).await["status"], "queued");
    assert_eq!(stage.waiting(ANNA).await.map(|row| row.state), Some(0), "the second try waits as it did");

    act(&stage, &json!({ "action": "resume_line", "phoneNumberId": LINE })).await.ok();
    let both = stage.taken(2).await;
    assert_ne!(both[0].correlation, both[1].correlation, "each try has news of its own");
    tells(&stage, &both[1], "delivered").await;
    let arrived = stage.said_is(ANNA, "delivered").await;
    assert_eq!((&arrived["retries"], &arrived["providerMessageId"]), (&json!(1), &json!(both[1].wamid)));
}

#[tokio::test]
async fn a_retry_keeps_its_place_behind_what_was_sent_meanwhile() {
    let stage = Stage::set().await;
    stage.graph.plans(|call| if call.text == "echo one" { Reaction::Refuse(131_026) } else { Reaction::Take });
    stage.hears(ANNA, "one").await;
    let id = message(&stage, ANNA, "failed").await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let closed = std::sync::Arc::clone(&gate);
    stage.graph.plans(move |_| Reaction::TakeWhen(std::sync::Arc::clone(&closed)));
    stage.hears(ANNA, "two").await;
    eventually("the second message", async || (stage.graph.calls().len() == 2).then_some(())).await;
    retry(&stage, &id).await.ok();
    gate.add_permits(2);
    let taken = stage.taken(2).await;
    assert_eq!([&taken[0].text, &taken[1].text], ["echo two", "echo one"]);
    assert_eq!(stage.graph.crowd(&format!("+{ANNA}")), 1, "one message in flight a conversation");
}

#[tokio::test]
async fn of_6_dead_letters_5_are_sent_again_and_the_one_outside_the_window_is_counted() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(131_026));
    // The window of this one closes in a moment.
    let mut late = text_message(ANNA, "wamid.in.late", "hello");
    let wrote = Utc::now() - TimeDelta::hours(24) + TimeDelta::seconds(12);
    late["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = json!(wrote.timestamp().to_string());
    stage.app.deliver(&late).await.ok();
    stage.said_is(ANNA, "failed").await;
    for n in 0..5 {
        let customer = format!("9725000001{n:02}");
        stage.hears(&customer, "hello").await;
        stage.said_is(&customer, "failed").await;
    }
    let conversation = stage.account.conversation_with(ANNA).await;
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    eventually("a closed window", async || (stage.account.get(&path).await.ok()["windowOpen"] == false).then_some(()))
        .await;
    stage.graph.plans(|_| Reaction::Take);
    let other = act(&stage, &json!({ "action": "retry_failed", "phoneNumberId": OTHER_LINE })).await.ok();
    assert_eq!(other["batch"]["retried"], 0);
    let refused = json!([{ "code": "window_closed", "messages": 1 }]);
    let line = act(&stage, &json!({ "action": "retry_failed", "phoneNumberId": LINE })).await.ok();
    assert_eq!(line["batch"], json!({ "retried": 5, "refused": refused, "left": 0 }));
    stage.taken(5).await;
    let again = act(&stage, &json!({ "action": "retry_failed" })).await.ok();
    assert_eq!(again["batch"], json!({ "retried": 0, "refused": refused, "left": 0 }), "only that one is left");
}
