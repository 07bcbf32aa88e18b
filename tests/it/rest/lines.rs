//! WhatsApp lines and their secrets.

use serde_json::{Value, json};
use tests::app::{LINE, TestApp};
use tests::flows::echo;

use super::refused;

const TOKEN: &str = "EAAGsecretsecretsecretQ7zX";
const SECRET: &str = "0123456789abcdef-app-secret";
const SETTINGS: &str = "/api/settings/whatsapp";

fn line(extra: Value) -> Value {
    let mut line = json!({ "phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": TOKEN, "displayPhoneNumber": "+1 555 000 1111" });
    line.as_object_mut().expect("members").extend(extra.as_object().cloned().unwrap_or_default());
    line
}

/// Every row of these tables, as text.
async fn stored(app: &TestApp) -> String {
    let mut all = String::new();
    for table in [
        "whatsapp_lines",
        "events",
        "outbox",
        "jobs",
        "audit_entries",
        "webhook_journal",
        "conversation_view",
        "message_view",
    ] {
        let rows: Vec<String> = sqlx::query_scalar(&format!("select t::text from {table} t"))
            .fetch_all(&app.database.pool)
            .await
            .expect("rows");
        all.push_str(&rows.join("\n"));
    }
    all
}

#[tokio::test]
async fn a_line_is_saved_shown_and_changed_without_its_secrets() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    assert_eq!(dana.get(SETTINGS).await.ok(), json!([]));
    let saved = dana.post(SETTINGS, &line(json!({ "appSecret": SECRET, "verifyToken": "verify-me" }))).await.ok();
    let expected = json!({ "phoneNumberId": LINE, "wabaId": "200000000000002", "hasAccessToken": true, "accessTokenLast4": "Q7zX",
                           "hasAppSecret": true, "hasVerifyToken": true, "isPrimary": true, "coexistence": false });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&saved[name], value, "{saved}");
    }
    let shown = dana.get(SETTINGS).await;
    for secret in [TOKEN, SECRET, "verify-me"] {
        assert!(!shown.text.contains(secret) && !saved.to_string().contains(secret), "{}", shown.text);
    }
    assert_eq!(shown.ok(), json!([saved]));
    // A change without a token keeps the one that is there.
    let mut changed = line(json!({ "displayPhoneNumber": "+1 555 222 3333" }));
    changed.as_object_mut().expect("members").remove("accessToken");
    let changed = dana.post(SETTINGS, &changed).await.ok();
    assert_eq!(
        (&changed["displayPhoneNumber"], &changed["accessTokenLast4"]),
        (&json!("+1 555 222 3333"), &json!("Q7zX"))
    );
    let second = dana
        .post(SETTINGS, &line(json!({ "phoneNumberId": "300000000000003", "isPrimary": true, "coexistence": true })))
        .await
        .ok();
    assert_eq!((&second["isPrimary"], &second["coexistence"]), (&json!(true), &json!(true)));
    let list = dana.get(SETTINGS).await.ok();
    let primary: Vec<_> =
        list.as_array().expect("a list").iter().map(|it| json!([it["phoneNumberId"], it["isPrimary"]])).collect();
    assert_eq!(json!(primary), json!([["300000000000003", true], [LINE, false]]), "one is primary");
}

#[tokio::test]
async fn secrets_are_kept_sealed() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.post(SETTINGS, &line(json!({ "verifyToken": "verify-me-please" }))).await.ok();
    dana.has_flow("Echo", &echo()).await;
    app.customer_writes("+972501234567", "hi").await;
    app.wait_for_answers("+972501234567", 1).await;
    dana.post(SETTINGS, &line(json!({ "appSecret": SECRET, "verifyToken": "verify-me-please" }))).await.ok();
    let stored = stored(&app).await;
    assert!(stored.contains("$sealed") && stored.contains(LINE));
    for secret in [TOKEN, SECRET, "verify-me-please"] {
        assert!(!stored.contains(secret), "{secret} is in the clear");
    }
}

#[tokio::test]
async fn a_line_belongs_to_one_account() {
    let app = TestApp::start().await;
    let (dana, eve) = (app.account("dana").await, app.account("eve").await);
    let saved = dana.post(SETTINGS, &line(json!({}))).await.ok();
    let taken = eve.post(SETTINGS, &line(json!({ "accessToken": "eves-token" }))).await;
    assert_eq!(taken.status.as_u16(), 409, "{}", taken.text);
    assert!(!taken.text.contains(&dana.id) && !taken.text.contains("dana"), "{}", taken.text);
    assert_eq!(eve.get(SETTINGS).await.ok(), json!([]));
    assert_eq!(dana.get(SETTINGS).await.ok(), json!([saved]));
}

#[tokio::test]
async fn what_is_no_line_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for wrong in [
        json!({}),
        json!({ "phoneNumberId": LINE }),
        line(json!({ "phoneNumberId": "abc" })),
        line(json!({ "wabaId": "" })),
        line(json!({ "accessToken": "" })),
        line(json!({ "messagesPerSecond": 0 })),
        line(json!({ "messagesPerSecond": 5000 })),
        line(json!({ "token": "x" })),
        line(json!({ "isPrimary": "yes" })),
    ] {
        refused(&dana.post(SETTINGS, &wrong).await, 400, "invalid_request");
    }
    let mut bare = line(json!({}));
    bare.as_object_mut().expect("members").remove("accessToken");
    refused(&dana.post(SETTINGS, &bare).await, 400, "invalid_request");
    assert_eq!(dana.get(SETTINGS).await.ok(), json!([]), "nothing is stored");
}
