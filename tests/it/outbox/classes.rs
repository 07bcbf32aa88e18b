//! What Graph's refusals lead to, by class and by what they are about.

use std::time::Duration;

use serde_json::Value;
use tests::app::{LINE, eventually};
use tests::graph::{Call, Reaction};

use crate::outbox::stage::{OTHER_LINE, Stage};

const ANNA: &str = "972500000001";
const BEN: &str = "972500000002";
const CARL: &str = "972500000003";

/// Refuses this customer's messages with a code, so many times each.
fn refuses(customer: &'static str, code: i64, times: usize) -> impl Fn(&Call) -> Reaction + Send + Sync + 'static {
    move |call| {
        let refused = call.to.ends_with(customer) && call.times <= times;
        if refused { Reaction::Refuse(code) } else { Reaction::Take }
    }
}

fn place(calls: &[Call], customer: &str, text: &str, times: usize) -> usize {
    let wanted = |call: &Call| call.to.ends_with(customer) && call.text == text && call.times == times;
    calls
        .iter()
        .position(wanted)
        .unwrap_or_else(|| panic!("`{text}` to {customer} for the {times}. time in {calls:#?}"))
}

#[tokio::test]
async fn a_transient_error_is_tried_again() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(ANNA, 131_016, 2));
    stage.hears(ANNA, "hello").await;
    stage.said_is(ANNA, "sent").await;
    let calls = stage.graph.calls();
    assert_eq!(calls.iter().map(|call| call.wamid.is_some()).collect::<Vec<_>>(), [false, false, true]);
    assert!(stage.waiting(ANNA).await.is_none(), "nothing is left in the outbox");
}

#[tokio::test]
async fn a_recipient_who_cannot_be_reached_fails_the_message_once() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(ANNA, 131_026, 99));
    stage.hears(ANNA, "hello").await;
    let message = stage.said_is(ANNA, "failed").await;
    assert_eq!(message["error"]["code"], 131_026, "{message}");
    let dead = stage.waits(ANNA, |it| it.state == 4).await;
    assert_eq!(dead.attempts, 1, "{dead:?}");
    assert_eq!(stage.graph.calls().len(), 1);
    // And the conversation goes on.
    stage.graph.plans(|_| Reaction::Take);
    stage.hears(ANNA, "again").await;
    stage.taken(1).await;
}

#[tokio::test]
async fn an_unpaid_account_stops_its_line_until_a_person_acts() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(ANNA, 131_042, 99));
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 0 && it.error.as_deref().is_some_and(|error| error.contains("131042"))).await;
    stage.hears(BEN, "hello").await;
    stage.waits(BEN, |it| it.error.as_deref() == Some("the line is stopped")).await;
    stage.hears_on(OTHER_LINE, CARL, "hello").await;
    stage.said_is(CARL, "sent").await;
    let lines = stage.account.get("/api/settings/whatsapp").await.ok();
    let lines = lines.as_array().cloned().unwrap_or_default();
    let stopped = |id: &str| {
        let line = lines.iter().find(|line| line["phoneNumberId"] == id).expect("a line");
        line["stoppedReason"].as_str().map(str::to_owned)
    };
    assert!(stopped(LINE).is_some_and(|reason| reason.contains("131042")), "{lines:?}");
    assert_eq!(stopped(OTHER_LINE), None);
    let incidents: i64 = sqlx::query_scalar("select count(*) from audit_entries where action = 'line.stopped'")
        .fetch_one(stage.pool())
        .await
        .expect("a count");
    assert_eq!(incidents, 1);
    assert_eq!(stage.graph.calls().iter().filter(|call| call.line == LINE).count(), 1, "nothing went out meanwhile");

    stage.graph.plans(|_| Reaction::Take);
    stage.account.has_line().await;
    stage.said_is(ANNA, "sent").await;
    stage.said_is(BEN, "sent").await;
}

#[tokio::test]
async fn error_131056_slows_its_pair_alone_while_5_others_go_on() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(ANNA, 131_056, 2));
    stage.hears(ANNA, "one").await;
    stage.waits(ANNA, |it| it.attempts == 2 && it.error.as_deref().is_some_and(|error| error.contains("131056"))).await;
    stage.hears(ANNA, "two").await;
    let others: Vec<String> = (2..7).map(|n| format!("97250000000{n}")).collect();
    for other in &others {
        stage.hears(other, "one").await;
    }
    stage.taken(7).await;
    let calls = stage.graph.calls();
    let (refused, again) = (place(&calls, ANNA, "echo one", 2), place(&calls, ANNA, "echo one", 3));
    for other in &others {
        assert!(place(&calls, other, "echo one", 1) < again, "{calls:#?}");
    }
    assert!(again < place(&calls, ANNA, "echo two", 1), "{calls:#?}");
    assert!(calls[again].at - calls[refused].at >= Duration::from_millis(3_900), "the second wait is four seconds");
}

#[tokio::test]
async fn the_throughput_limit_slows_the_line_alone() {
    let stage = Stage::set().await;
    stage.graph.plans(refuses(ANNA, 130_429, 3));
    stage.hears(ANNA, "one").await;
    let slowed = stage.waits(ANNA, |it| it.attempts == 3 && it.state == 0 && it.error.is_some()).await;
    assert!(slowed.error.is_some_and(|error| error.contains("130429")));
    stage.hears(BEN, "one").await;
    stage.hears_on(OTHER_LINE, CARL, "one").await;
    let done = async || {
        let calls = stage.graph.calls();
        calls.iter().any(|call| call.to.ends_with(BEN)).then_some(calls)
    };
    let calls = eventually("the line's next message", done).await;
    assert!(place(&calls, CARL, "echo one", 1) < place(&calls, BEN, "echo one", 1), "{calls:#?}");
    let refused = calls[place(&calls, ANNA, "echo one", 3)].at;
    let next = calls[place(&calls, BEN, "echo one", 1)].at;
    assert!(next - refused >= Duration::from_millis(900), "the line waits a quarter of four seconds at least");
    stage.said_is(ANNA, "sent").await;
    assert_ne!(stage.said(ANNA).await, Value::Null);
}
