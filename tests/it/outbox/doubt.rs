//! Sends of which nobody knows whether they took effect: settled by statuses, else sent once more and marked.

use std::sync::Arc;

use api::config::Options;
use application::commands::Conclude;
use domain::shared::provider_error::{ErrorClass, ProviderError};
use infrastructure::event_store::append::{Append, AppendError, Appender};
use infrastructure::outbox::claim::Back;
use infrastructure::outbox::departures::Departures;
use infrastructure::outbox::{claim, in_doubt};
use serde_json::json;
use tests::graph::{Call, Reaction};
use tests::webhook::status;
use tokio::sync::Semaphore;

use crate::outbox::stage::Stage;

const ANNA: &str = "972500000001";

async fn tells(stage: &Stage, call: &Call, what: &str) {
    let wamid = call.wamid.as_deref().expect("it was taken");
    stage.app.deliver(&status(wamid, ANNA, what, Some(&call.correlation))).await.ok();
}

async fn sent_events(stage: &Stage) -> i64 {
    let count = sqlx::query_scalar("select count(*) from events where event_type = 'conversation.message_sent'");
    count.fetch_one(stage.pool()).await.expect("a count")
}

#[tokio::test]
async fn a_status_settles_a_send_whose_answer_was_lost() {
    let stage = Stage::set().await;
    stage.graph.plans(|_| Reaction::TakeAndDie);
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 3).await;
    stage.hears(ANNA, "next").await;
    stage.said_is(ANNA, "queued").await;

    stage.graph.plans(|_| Reaction::Take);
    let first = stage.graph.taken()[0].clone();
    tells(&stage, &first, "delivered").await;
    let both = stage.taken(2).await;
    assert_eq!([&both[0].text, &both[1].text], ["echo hello", "echo next"], "the lane goes on behind it");
    stage.said_is(ANNA, "sent").await;
    assert_eq!(stage.graph.calls().len(), 2, "nothing was sent twice");
    let possible: i64 = sqlx::query_scalar(
        "select count(*) from message_view where body ->> 'status' = 'delivered' and (body ->> 'possibleDuplicate')::bool = false",
    )
    .fetch_one(stage.pool())
    .await
    .expect("a count");
    assert_eq!(possible, 1);
}

#[tokio::test]
async fn without_a_status_it_is_sent_once_more_and_says_so() {
    let stage = Stage::set().await;
    stage.graph.plans(|call| if call.times == 1 { Reaction::TakeAndDie } else { Reaction::Take });
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 3).await;
    assert_eq!(stage.graph.calls().len(), 1);
    stage.time_passes(ANNA).await;
    let message = stage.said_is(ANNA, "sent").await;
    assert_eq!(message["possibleDuplicate"], true, "{message}");
    assert_eq!(stage.graph.calls().len(), 2);
    assert_eq!(sent_events(&stage).await, 1);
}

#[tokio::test]
async fn a_second_doubt_ends_in_failure_not_in_a_third_send() {
    let stage = Stage::set().await;
    stage.graph.plans(|_| Reaction::TakeAndDie);
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 3).await;
    stage.time_passes(ANNA).await;
    stage.said_is(ANNA, "failed").await;
    assert_eq!(stage.graph.calls().len(), 2);
}

#[tokio::test]
async fn a_sender_that_stops_leaves_its_message_in_doubt_and_its_late_answer_changes_nothing() {
    let stage = Stage::set().await;
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    stage.graph.plans(move |_| Reaction::TakeWhen(Arc::clone(&closed)));
    stage.hears(ANNA, "hello").await;
    stage.taken(1).await;
    stage.time_passes(ANNA).await;
    stage.waits(ANNA, |it| it.state == 3).await;
    let lost = || metric(&stage, "outbox_answers_total");
    let before = lost().await;
    gate.add_permits(1);
    tests::app::eventually("the late answer", async || (lost().await > before).then_some(())).await;
    let first = stage.graph.taken()[0].clone();
    tells(&stage, &first, "read").await;
    stage.said_is(ANNA, "read").await;
    assert_eq!((stage.graph.calls().len(), sent_events(&stage).await), (1, 1));
    assert!(stage.waiting(ANNA).await.is_none());
}

/// The sum of a counter over its labels.
async fn metric(stage: &Stage, name: &str) -> f64 {
    let text = stage.app.call(reqwest::Method::GET, "/metrics", None, &[]).await.text;
    let rows = text.lines().filter(|line| line.starts_with(name));
    rows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn whoever_lost_the_lease_commits_nothing() {
    let stage = Stage::set_with(Options { roles: Some("api,projector".to_owned()), ..Options::default() }).await;
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 0).await;
    let zombie = claim::claim(stage.pool(), 10, &[], &[]).await.expect("a claim").pop().expect("the message");
    assert!(claim::claim(stage.pool(), 10, &[], &[]).await.expect("a claim").is_empty(), "it is held");
    assert!(Departures::start(stage.pool().clone()).leave(&zombie).await, "it may leave");
    stage.time_passes(ANNA).await;
    assert_eq!(in_doubt::sweep(stage.pool()).await.expect("a sweep"), (1, 0));

    let late = ProviderError { code: 131_016, class: ErrorClass::Transient, title: "late".into(), details: None };
    let refused = Back::Refused { error: &late, counts: true };
    for back in [Back::Held("late"), refused] {
        claim::put_back(stage.pool(), &zombie, 0.0, back).await.expect("no row");
    }
    in_doubt::doubt(stage.pool(), &zombie, "late").await.expect("no row");
    let append = Append {
        aggregate_type: "conversation",
        stream: domain::shared::ids::StreamId::new(zombie.tenant, zombie.lane.0),
        meets: None,
        expected: 1_000,
        events: Vec::new(),
        metadata: json!({}),
        once: Vec::new(),
        mark: Vec::new(),
        conclude: Some(Conclude::Leased { id: zombie.id, token: zombie.token }),
        effects: Vec::new(),
    };
    let told = Appender::start(stage.pool().clone()).append(append).await;
    assert!(matches!(told, Err(AppendError::LeaseLost)), "{told:?}");
    let row = stage.waiting(ANNA).await.expect("the message");
    assert_eq!((row.state, row.error.as_deref()), (3, Some("the sender stopped before the answer came")));

    stage.time_passes(ANNA).await;
    assert_eq!(in_doubt::sweep(stage.pool()).await.expect("a sweep"), (0, 1));
    let again = claim::claim(stage.pool(), 10, &[], &[]).await.expect("a claim").pop().expect("the message");
    assert!(again.resent && again.token != zombie.token && again.attempts == 2, "{again:?}");
}

#[tokio::test]
async fn what_was_claimed_and_never_left_is_due_again_and_cannot_leave_late() {
    let stage = Stage::set_with(Options { roles: Some("api,projector".to_owned()), ..Options::default() }).await;
    stage.hears(ANNA, "hello").await;
    stage.waits(ANNA, |it| it.state == 0).await;
    let departures = Departures::start(stage.pool().clone());
    let zombie = claim::claim(stage.pool(), 10, &[], &[]).await.expect("a claim").pop().expect("the message");
    stage.time_passes(ANNA).await;
    assert_eq!(in_doubt::sweep(stage.pool()).await.expect("a sweep"), (0, 0), "nothing is in doubt");
    assert!(!departures.leave(&zombie).await, "its claim ran out");
    let again = claim::claim(stage.pool(), 10, &[], &[]).await.expect("a claim").pop().expect("the message");
    assert!(!again.resent && again.attempts == 1, "{again:?}");
    assert!(!departures.leave(&zombie).await, "somebody else has it");
    assert!(departures.leave(&again).await);
}
