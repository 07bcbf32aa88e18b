//! Statuses only ever go up, however they come.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::echo;
use tests::webhook::{status, text_message};

/// An account with a line, the echo flow and an answered customer; the path of their conversation.
async fn answered(app: &TestApp, phone: &str) -> (SignedIn, String) {
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    app.customer_writes(phone, "hi").await;
    app.wait_for_answers(phone, 1).await;
    let row = dana.conversation_with(phone).await;
    (dana, format!("/api/conversations/{}", row["id"].as_str().expect("an id")))
}

/// The answer, once it stands so.
async fn once(dana: &SignedIn, path: &str, status: &str) -> Value {
    eventually(&format!("a message {status}"), async || {
        let shown = dana.get(path).await.ok();
        shown["messages"].as_array()?.iter().find(|it| it["direction"] == "outbound" && it["status"] == status).cloned()
    })
    .await
}

#[tokio::test]
async fn read_before_delivered_before_sent_is_read() {
    let app = TestApp::start().await;
    // The sandbox tells the statuses of this number backwards.
    let (dana, path) = answered(&app, "+15571110001").await;
    let read = once(&dana, &path, "read").await;
    let wamid = read["providerMessageId"].as_str().expect("a wamid");
    for word in ["delivered", "sent", "failed", "delivered"] {
        app.deliver(&status(wamid, "15571110001", word, None)).await.ok();
    }
    app.deliver(&text_message("15571110001", "wamid.last", "last")).await.ok();
    app.wait_for_answers("+15571110001", 2).await;
    eventually("an empty journal", async || {
        let left = "select count(*) from webhook_journal where state = 0";
        let left: i64 = sqlx::query_scalar(left).fetch_one(&app.database.pool).await.ok()?;
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(once(&dana, &path, "read").await["providerMessageId"], wamid);
}

#[tokio::test]
async fn every_status_twice_is_every_status_once() {
    let app = TestApp::start().await;
    let (dana, path) = answered(&app, "+15571110002").await;
    once(&dana, &path, "read").await;
    let kinds = "select event_type, count(*) from events where aggregate_type = 'conversation' group by 1";
    let counts: Vec<(String, i64)> = sqlx::query_as(kinds).fetch_all(&app.database.pool).await.expect("rows");
    let twice: Vec<_> = counts.iter().filter(|(kind, many)| kind.contains("message") && *many > 1).collect();
    assert!(twice.is_empty() && !counts.is_empty(), "{counts:?}");
}

#[tokio::test]
async fn failures_carry_their_code() {
    let app = TestApp::start().await;
    let (dana, path) = answered(&app, "+15569131026").await;
    let failed = once(&dana, &path, "failed").await;
    assert_eq!((&failed["error"]["code"], failed["error"]["class"].is_string()), (&json!(131_026), true), "{failed}");
}

#[tokio::test]
async fn a_status_may_come_before_the_answer_to_the_send() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    // The sandbox answers the send to this number after a minute; the statuses come at once.
    app.customer_writes("+15571110003", "hi").await;
    let row = dana.conversation_with("+15571110003").await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    let read = once(&dana, &path, "read").await;
    assert!(read["providerMessageId"].as_str().is_some_and(|id| id.starts_with("wamid.")), "{read}");
    assert_eq!(app.answers("+15571110003").await.len(), 1);
}

#[tokio::test]
async fn a_status_of_a_message_that_is_not_ours_is_kept() {
    let app = TestApp::start().await;
    let (dana, path) = answered(&app, "+972501234567").await;
    let before = once(&dana, &path, "read").await;
    app.deliver(&status("wamid.strange", "972501234567", "delivered", None)).await.ok();
    let foreign = format!("{}.{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    app.deliver(&status("wamid.strange", "972501234567", "failed", Some(&foreign))).await.ok();
    app.customer_writes("+972501234567", "still there?").await;
    app.wait_for_answers("+972501234567", 2).await;
    assert_eq!(dana.get(&path).await.ok()["messages"][1], before);
}

/// How often each kind of event of conversations is in the log.
async fn many(app: &TestApp, kind: &str) -> i64 {
    let count = sqlx::query_scalar("select count(*) from events where event_type = $1").bind(kind);
    count.fetch_one(&app.database.pool).await.expect("a count")
}

async fn journal_is_done(app: &TestApp) {
    eventually("an empty journal", async || {
        let left = sqlx::query_scalar("select count(*) from webhook_journal where state = 0");
        (left.fetch_one(&app.database.pool).await.ok() == Some(0_i64)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_same_status_5_times_in_parallel_and_again_6_days_later_has_1_effect() {
    let app = TestApp::start().await;
    let (dana, path) = answered(&app, "+972501234567").await;
    let read = once(&dana, &path, "read").await;
    let wamid = read["providerMessageId"].as_str().expect("a wamid");
    let before = events(&app).await;
    let failed = status(wamid, "972501234567", "failed", None);
    join_all((0..5).map(|_| app.deliver(&failed))).await.into_iter().for_each(|answer| drop(answer.ok()));
    journal_is_done(&app).await;
    assert_eq!(many(&app, "conversation.message_failed_late").await, 1);
    assert_eq!(events(&app).await, before + 1);
    // Six days on, the journal has forgotten them.
    let old = "update webhook_journal set received_at = received_at - interval '9 days'";
    sqlx::query(old).execute(&app.database.pool).await.expect("time passes");
    infrastructure::retention::sweep(&app.database.pool).await.expect("a sweep");
    app.deliver(&failed).await.ok();
    app.deliver(&status(wamid, "972501234567", "read", None)).await.ok();
    journal_is_done(&app).await;
    assert_eq!(events(&app).await, before + 1, "once is once");
}

async fn events(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("a count")
}

#[tokio::test]
async fn a_failed_after_read_is_recorded_1_time_and_overrides_nothing() {
    let app = TestApp::start().await;
    let (dana, path) = answered(&app, "+972501234567").await;
    let read = once(&dana, &path, "read").await;
    let wamid = read["providerMessageId"].as_str().expect("a wamid");
    for _ in 0..2 {
        app.deliver(&status(wamid, "972501234567", "failed", None)).await.ok();
    }
    journal_is_done(&app).await;
    assert_eq!(
        (many(&app, "conversation.message_failed_late").await, many(&app, "conversation.message_failed").await),
        (1, 0)
    );
    assert_eq!(once(&dana, &path, "read").await, read);
}
