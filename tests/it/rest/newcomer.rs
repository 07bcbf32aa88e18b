//! One story, from outside: somebody registers, verifies, signs in, invites an employee, gets an API key that the
//! administrator approves, uses it, takes a new one, and reads of all of it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::echo;

use super::api_access::exchange;
use super::refused;

const MAIL: &str = "dana@example.com";
const PHONE: &str = "+972501234567";

/// The whole log of who changed what, oldest first: who, what, to whom.
async fn told(dana: &SignedIn, many: usize) -> Vec<(String, String, String)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let row = |entry: &Value| (text(entry, "actor"), text(entry, "action"), text(entry, "subject"));
    eventually(&format!("{many} entries"), async || {
        let entries = dana.get("/api/audit/entries?order=asc&limit=200").await.ok();
        let entries = entries.as_array().expect("an array");
        (entries.len() >= many).then(|| entries.iter().map(row).collect())
    })
    .await
}

/// Registers and verifies.
async fn arrives(app: &TestApp) -> SignedIn {
    let user = app.registers("dana", MAIL).await.ok()["user"].clone();
    let dana = app.sign_in("dana", "correct horse").await;
    assert_eq!(json!(dana.id), user["id"]);
    refused(&dana.get("/api/employees").await, 403, "email_unverified");
    let code = app.code_mailed(MAIL, 1).await;
    app.verifies("email", MAIL, &code).await.ok();
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["emailVerified"], true);
    dana
}

/// An employee who may answer customers, and sees nothing else.
async fn invites(app: &TestApp, dana: &SignedIn) -> SignedIn {
    let noa = json!({ "username": "noa", "password": "a horse of noa's", "displayName": "Noa",
                      "email": "noa@example.com", "permissions": ["inbox"] });
    let noa = dana.post("/api/employees", &noa).await.ok();
    let seen = dana.get("/api/employees").await.ok();
    assert_eq!(seen[0]["id"], noa["id"]);
    let noa = app.sign_in("noa", "a horse of noa's").await;
    app.customer_writes(PHONE, "is anybody there?").await;
    app.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    assert_eq!(noa.get("/api/conversations").await.ok()[0]["id"], conversation["id"]);
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    noa.put(&path, &json!({ "action": "claim" })).await.ok();
    noa.post(&format!("{path}/reply"), &json!({ "messageType": "text", "text": "Noa here" })).await.ok();
    for path in [
        "/api/flows",
        "/api/leads",
        "/api/templates",
        "/api/employees",
        "/api/settings/whatsapp",
        "/api/settings/api-access",
        "/api/audit/entries",
        "/api/audit/events",
        "/api/users",
    ] {
        refused(&noa.get(path).await, 403, "forbidden");
    }
    noa
}

/// Gets a key that the administrator approves, uses it, and takes a new one. Both keys, for none may be told.
async fn uses_a_key(app: &TestApp, dana: &SignedIn, noa: &SignedIn, admin: &SignedIn) -> [String; 2] {
    // The key: shown once, worth nothing until it is approved, and not by its owner.
    let first = dana.post("/api/settings/api-access", &json!({ "scopes": ["leads"] })).await.ok();
    refused(&exchange(app, &first).await, 403, "forbidden");
    let (own, approve) = (format!("/api/users/{}", dana.id), json!({ "apiAccessApproved": true }));
    refused(&dana.put(&own, &approve).await, 403, "forbidden");
    refused(&noa.put(&own, &approve).await, 404, "not_found");
    assert_eq!(admin.put(&own, &approve).await.ok()["apiAccessApproved"], true);
    let shown = dana.get("/api/settings/api-access").await.ok();
    assert_eq!((&shown["approved"], shown.get("apiKey")), (&json!(true), None), "{shown}");
    let token = exchange(app, &first).await.ok();
    let client = app.bearer(token["accessToken"].as_str().expect("a token"), &dana.id);
    client.post("/api/leads", &json!({ "phone": PHONE, "name": "From the shop" })).await.ok();
    refused(&client.get("/api/conversations").await, 403, "forbidden");

    // A new one takes its place at once.
    let second = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    refused(&client.get("/api/leads").await, 401, "unauthorized");
    refused(&exchange(app, &first).await, 401, "unauthorized");
    let token = exchange(app, &second).await.ok();
    let client = app.bearer(token["accessToken"].as_str().expect("a token"), &dana.id);
    eventually("the lead", async || {
        let leads = client.get("/api/leads").await.ok();
        (leads[0]["name"] == "From the shop").then_some(())
    })
    .await;
    [first, second].map(|access| access["apiKey"].as_str().expect("a key").to_owned())
}

#[tokio::test]
async fn a_newcomer_gets_to_work_with_an_employee_and_a_key_and_sees_the_audit_of_it_all() {
    let app = TestApp::start().await;
    let (dana, admin) = (arrives(&app).await, app.admin().await);
    dana.has_line().await.has_flow("Echo", &echo()).await;
    let noa = invites(&app, &dana).await;

    let keys = uses_a_key(&app, &dana, &noa, &admin).await;

    // All of it was told, by whom it was done: to herself, and to nobody else.
    let (by_dana, by_noa, by_admin) =
        (format!("user:{}", dana.id), format!("user:{}", noa.id), format!("user:{}", admin.id));
    let expected: [(&str, &str, &str); 11] = [
        (&by_dana, "user.registered", &dana.id),
        (&by_dana, "session.opened", ""),
        (&by_dana, "email.verified", &dana.id),
        (&by_dana, "line.saved", ""),
        (&by_dana, "employee.created", &noa.id),
        (&by_noa, "session.opened", ""),
        (&by_dana, "api_key.rotated", ""),
        (&by_admin, "user.changed", &dana.id),
        (&by_dana, "session.opened", ""),
        (&by_dana, "api_key.rotated", ""),
        (&by_dana, "session.opened", ""),
    ];
    let entries = told(&dana, expected.len()).await;
    let actions: Vec<(&str, &str)> = entries.iter().map(|(by, what, _)| (by.as_str(), what.as_str())).collect();
    assert_eq!(actions, expected.map(|(by, what, _)| (by, what)), "{entries:#?}");
    for ((_, _, subject), (_, what, expected)) in entries.iter().zip(expected) {
        assert!(expected.is_empty() || subject == expected, "{what}: {subject}");
    }
    eventually("what the employee did", async || {
        let events = dana.get(&format!("/api/audit/events?actor={by_noa}")).await.ok().to_string();
        (events.contains("conversation.claimed") && events.contains("conversation.message_queued")).then_some(())
    })
    .await;
    let eve = app.account("eve").await;
    refused(&eve.get(&format!("/api/audit/entries?account={}", dana.id)).await, 403, "forbidden");
    let all = json!(entries).to_string();
    assert!(keys.iter().all(|key| !all.contains(key.as_str())));
    refused(&app.call(Method::GET, "/api/audit/entries", None, &[]).await, 401, "unauthorized");
}
