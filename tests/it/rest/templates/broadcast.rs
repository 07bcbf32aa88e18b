//! A broadcast beside conversations: replies do not wait behind it, and the line keeps its rate.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tests::app::{SignedIn, TestApp};
use tests::flows::echo;

use super::bulk::{bulk_is, id, line_sends, start};
use super::sending::with_group;

/// Conversations that chat.
const CHATTING: usize = 50;

/// How long 50 customers wait for their answers, the slowest twentieth left out.
async fn reply_p95(app: &TestApp, round: usize) -> Duration {
    let chat = async |n: usize| {
        tokio::time::sleep(Duration::from_millis(40 * n as u64)).await;
        let phone = format!("+9725030{n:05}");
        let (before, begun) = (app.answers(&phone).await.len(), Instant::now());
        app.customer_writes(&phone, &format!("round {round}")).await;
        app.wait_for_answers(&phone, before + 1).await;
        begun.elapsed()
    };
    let mut waits = join_all((0..CHATTING).map(chat)).await;
    waits.sort();
    waits[CHATTING * 95 / 100]
}

async fn handed_over(dana: &SignedIn, id: &str) -> u64 {
    let now = super::bulk::shown(dana, id).await;
    ["sent", "delivered", "read"].iter().filter_map(|word| now[word].as_u64()).sum()
}

#[tokio::test]
async fn replies_of_50_conversations_go_before_a_broadcast_that_fills_the_line() {
    let app = TestApp::start().await;
    let (dana, _) = with_group(&app, &["first"], "random").await;
    dana.has_flow("Echo", &echo()).await;
    // So slow that the broadcast has all of the line for much longer than the conversations take.
    line_sends(&dana, 30).await;
    reply_p95(&app, 0).await;
    let phones: Vec<String> = (0..2_000).map(|n| format!("+9725040{n:05}")).collect();
    let made = start(&dana, &json!({ "templateName": "first", "phones": phones })).await;
    bulk_is(&dana, &id(&made), |it| it["read"].as_u64() >= Some(30)).await;
    let before = handed_over(&dana, &id(&made)).await;
    let waited = reply_p95(&app, 1).await;
    let after = handed_over(&dana, &id(&made)).await;
    // Behind the broadcast's queue the last would wait more than a minute.
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    assert!(after > before, "the broadcast goes on beside them");
}
