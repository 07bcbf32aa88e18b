//! Codes by WhatsApp.

use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::mail::code_in;

use super::{a_minute_passes, told};
use crate::rest::refused;

const PHONE: &str = "+972501234567";

async fn asks_by_phone(person: &SignedIn) -> tests::app::Answer {
    person.post("/api/auth/send-verification", &json!({ "channel": "phone", "address": PHONE })).await
}

/// Waits for so many messages on the phone; the last one.
async fn message(app: &TestApp, line: &str, many: usize) -> Value {
    let path = format!("/sandbox/customers/{PHONE}/messages?phoneNumberId={line}").replace('+', "%2B");
    eventually("a message", async || {
        let shown = app.call(reqwest::Method::GET, &path, None, &[]).await.ok();
        let shown = shown.as_array().cloned().unwrap_or_default();
        (shown.len() >= many).then(|| shown.last().cloned().unwrap_or_default())
    })
    .await
}

/// The code of an authentication template: once in the body, once in the button that copies it.
fn code_of(message: &Value) -> String {
    let content = &message["content"];
    assert_eq!((&content["name"], &content["language"]["code"]), (&json!("flowbot_auth_code"), &json!("en")));
    let code =
        code_in(content["components"][0]["parameters"][0]["text"].as_str().expect("a parameter")).expect("six digits");
    let parameters = json!([{ "type": "text", "text": code }]);
    let expected = json!([
        { "type": "body", "parameters": parameters },
        { "type": "button", "sub_type": "url", "index": "0", "parameters": parameters },
    ]);
    assert_eq!(content["components"], expected);
    code
}

#[tokio::test]
async fn a_phone_is_verified_by_the_accounts_own_template() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    assert_eq!(asks_by_phone(&dana).await.status.as_u16(), 202);
    let code = code_of(&message(&app, LINE, 1).await);
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["phone"], Value::Null);
    let show = |code: &str| json!({ "channel": "phone", "address": "+972 50 123 45 67", "code": code });
    refused(&dana.post("/api/auth/verify-code", &show("000")).await, 400, "code_invalid");
    dana.post("/api/auth/verify-code", &show(&code)).await.ok();
    let me = dana.get("/api/auth/me").await.ok()["user"].clone();
    assert_eq!((&me["phone"], &me["phoneVerified"]), (&json!(PHONE), &json!(true)));
    refused(&dana.post("/api/auth/verify-code", &show(&code)).await, 400, "code_invalid");
    let told = told(&app, &dana.id).await;
    assert!(told.ends_with(&["code.sent".into(), "code.refused".into(), "phone.verified".into()]), "{told:?}");
    // The statuses of such a message are nobody's news.
    eventually("the message to be read", async || (message(&app, LINE, 1).await["status"] == "read").then_some(()))
        .await;
    let count =
        async |sql: &str| -> i64 { sqlx::query_scalar(sql).fetch_one(&app.database.pool).await.expect("a count") };
    eventually("the webhooks' end", async || {
        (count("select count(*) from webhook_journal where state = 0").await == 0
            && count("select count(*) from webhook_journal").await >= 3)
            .then_some(())
    })
    .await;
    assert_eq!(count("select count(*) from parked_elements").await, 0);
}

#[tokio::test]
async fn without_a_line_of_ones_own_the_first_administrators_is_used() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    refused(&asks_by_phone(&dana).await, 503, "phone_not_configured");
    app.admin().await.has_line_id("100000000000009").await;
    asks_by_phone(&dana).await.ok();
    let code = code_of(&message(&app, "100000000000009", 1).await);
    app.verifies("phone", PHONE, &code).await.ok();
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["phoneVerified"], true);
}

#[tokio::test]
async fn a_stranger_makes_nobodys_phone_ring() {
    let app = TestApp::start().await;
    app.admin().await.has_line().await;
    let unknown = app.asks("phone", PHONE).await;
    assert_eq!(unknown.status.as_u16(), 202);
    let body = json!({ "username": "dana", "password": "correct horse", "email": "dana@example.com", "phone": PHONE });
    app.call(reqwest::Method::POST, "/api/auth/register", Some(&body), &[]).await.ok();
    a_minute_passes(&app).await;
    // Nobody spends the installation's messages before their e-mail is verified.
    let dana = app.sign_in("dana", "correct horse").await;
    refused(&asks_by_phone(&dana).await, 403, "email_unverified");
    assert_eq!(app.asks("phone", PHONE).await.body, unknown.body);
    let code = app.code_mailed("dana@example.com", 1).await;
    app.verifies("email", "dana@example.com", &code).await.ok();
    a_minute_passes(&app).await;
    assert_eq!(app.asks("phone", PHONE).await.body, unknown.body);
    let code = code_of(&message(&app, LINE, 1).await);
    assert_eq!(app.phone_shows(PHONE).await.len(), 1, "the first one that anybody sent");
    app.verifies("phone", PHONE, &code).await.ok();
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["phoneVerified"], true);
}
