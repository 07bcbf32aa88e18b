//! Flows as their customers live them, end to end through the sandbox.

mod asking;
mod deciding;
mod limits;
mod saying;

use serde_json::Value;
use tests::app::{SignedIn, TestApp, eventually};

/// Whoever writes in these tests.
pub const PHONE: &str = "+972501234567";

/// The product with one account, its line and this active flow.
pub async fn running(graph: &Value) -> (TestApp, SignedIn) {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Flow", graph).await;
    (app, dana)
}

/// The run of the conversation with [`PHONE`], once it stands so.
pub async fn run_once(dana: &SignedIn, status: &str) -> Value {
    let row = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    eventually(&format!("a run {status}"), async || {
        let shown = dana.get(&path).await.ok();
        (shown["flowRun"]["status"] == status).then(|| shown["flowRun"].clone())
    })
    .await
}

/// The last of so many answers to [`PHONE`].
pub async fn last_of(app: &TestApp, many: usize) -> String {
    app.wait_for_answers(PHONE, many).await.swap_remove(many - 1)
}
