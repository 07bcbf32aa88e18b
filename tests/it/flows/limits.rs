//! Where a run is stopped: the same message over and over.

use serde_json::json;
use tests::app::eventually;
use tests::flows::drawflow;

use super::{PHONE, last_of, run_once, running};

#[tokio::test]
async fn twenty_identical_messages_park_the_run() {
    let (app, dana) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "ask", json!({ "text": "Well?" }), &["3"]),
        ("3", "goto", json!({ "nodeId": "2" }), &[]),
    ]))
    .await;
    for n in 1..=20 {
        app.customer_writes(PHONE, &format!("answer {n}")).await;
        last_of(&app, n).await;
    }
    app.customer_writes(PHONE, "answer 21").await;
    run_once(&dana, "looping").await;
    let row = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    let held = eventually("the message that was held back", async || {
        let shown = dana.get(&path).await.ok();
        shown["messages"]
            .as_array()?
            .last()
            .filter(|it| it["direction"] == "outbound" && it["status"] == "failed")
            .cloned()
    })
    .await;
    assert_eq!(held["error"]["class"], "looping", "{held}");
    assert_eq!(app.answers(PHONE).await.len(), 20);
}
