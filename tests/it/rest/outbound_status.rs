//! What became of messages, for systems that had them sent.

use serde_json::{Value, json};
use tests::app::{LINE, TestApp};
use tests::templates::hebrew;
use uuid::Uuid;

use super::refused;

const STATUS: &str = "/api/webhook/outbound-status";
const PHONE: &str = "+972501234567";
/// Messages to it are taken, and fail afterwards.
const LOST: &str = "+15569131026";

#[tokio::test]
async fn a_message_is_found_by_every_name_it_has() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    app.approves(&dana, &hebrew("ours")).await;
    app.customer_writes(PHONE, "hi").await;
    let sent = app.is_sent(&dana, PHONE, &hebrew("ours"), "read").await;
    let conversation = dana.conversation_with(PHONE).await["id"].clone();
    let client = app.api_client(&dana).await;
    for named in [
        json!({ "messageId": sent["id"] }),
        json!({ "providerMessageId": sent["providerMessageId"] }),
        json!({ "conversationId": conversation, "limit": 5 }),
        json!({ "phone": "00972 50-123 4567" }),
    ] {
        let answer = client.post(STATUS, &named).await.ok();
        let messages = answer["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 1, "the customer's own are none of ours: {answer}");
        let told = &messages[0];
        assert_eq!(told["messageId"], sent["id"], "{named}");
        let facts = ["phone", "phoneNumberId", "type", "templateName", "status", "settled", "author"]
            .map(|it| told[it].clone());
        assert_eq!(json!(facts), json!([PHONE, LINE, "template", "ours", "read", true, "user"]));
        assert!(told["statusAt"]["delivered"].is_string() && told["queue"].is_null(), "{told}");
    }
    app.customer_writes(LOST, "hi").await;
    let lost = app.is_sent(&dana, LOST, &hebrew("ours"), "failed").await;
    let told = dana.post(STATUS, &json!({ "messageId": lost["id"], "waitSec": 20 })).await.ok();
    assert_eq!(told["messages"][0]["error"]["code"], 131_026, "{told}");
}

#[tokio::test]
async fn one_waits_for_news_and_learns_nothing_of_others() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    app.customer_writes(PHONE, "hi").await;
    let conversation = dana.conversation_with(PHONE).await["id"].as_str().expect("an id").to_owned();
    // The line is held, so the message waits.
    let line = json!({ "action": "pause_line", "phoneNumberId": LINE });
    dana.post("/api/monitor/delivery", &line).await.ok();
    let reply = json!({ "messageType": "text", "text": "hello" });
    dana.post(&format!("/api/conversations/{conversation}/reply"), &reply).await.ok();
    let waiting = dana.post(STATUS, &json!({ "phone": PHONE })).await.ok();
    let told = &waiting["messages"][0];
    assert_eq!(json!([told["status"], told["settled"], told["queue"]["state"]]), json!(["queued", false, "waiting"]));
    let asked = json!({ "messageId": told["messageId"], "waitSec": 20 });
    let line = json!({ "action": "resume_line", "phoneNumberId": LINE });
    let (answer, _) = tokio::join!(dana.post(STATUS, &asked), dana.post("/api/monitor/delivery", &line));
    assert_eq!(answer.ok()["messages"][0]["settled"], true);
    let mallory = app.account("mallory").await;
    for (name, theirs, nobodys) in [
        ("messageId", told["messageId"].clone(), json!(Uuid::new_v4())),
        ("conversationId", json!(conversation), json!(Uuid::new_v4())),
        ("phone", json!(PHONE), json!("+972509999999")),
        ("providerMessageId", json!("wamid.x"), json!("wamid.y")),
    ] {
        let foreign = mallory.post(STATUS, &json!({ name: theirs })).await;
        refused(&foreign, 404, "not_found");
        assert_eq!(mallory.post(STATUS, &json!({ name: nobodys })).await.body, foreign.body, "{name}");
    }
    for wrong in [
        json!({}),
        json!({ "messageId": Uuid::new_v4(), "phone": PHONE }),
        json!({ "phone": PHONE, "waitSec": 21 }),
        Value::Null,
    ] {
        refused(&dana.post(STATUS, &wrong).await, 400, "invalid_request");
    }
}
