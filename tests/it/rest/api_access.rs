//! API credentials: what a key may do, what becomes of its tokens, and what is never done with one.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};

use super::refused;

pub async fn exchange(app: &TestApp, access: &Value) -> Answer {
    let body = json!({ "clientId": access["clientId"], "apiKey": access["apiKey"] });
    app.call(Method::POST, "/api/auth/api-token", Some(&body), &[]).await
}

/// A new key of the account, made with this body and approved; and a client with its token.
pub async fn client(app: &TestApp, owner: &SignedIn, body: &Value) -> SignedIn {
    let access = owner.post("/api/settings/api-access", body).await.ok();
    let path = format!("/api/users/{}", owner.id);
    app.admin().await.put(&path, &json!({ "apiAccessApproved": true })).await.ok();
    let token = exchange(app, &access).await.ok();
    app.bearer(token["accessToken"].as_str().expect("a token"), &owner.id)
}

#[tokio::test]
async fn a_key_may_do_what_it_was_made_for() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let scopes = json!({ "scopes": ["leads", "inbox", "leads"] });
    let client = client(&app, &dana, &scopes).await;
    client.get("/api/leads").await.ok();
    client.get("/api/conversations").await.ok();
    for path in ["/api/flows", "/api/audit/events", "/api/settings/whatsapp", "/api/settings/api-access", "/api/users"]
    {
        refused(&client.get(path).await, 403, "forbidden");
    }
    let shown = dana.get("/api/settings/api-access").await.ok();
    assert_eq!(shown["scopes"], json!(["inbox", "leads"]), "{shown}");
    // Another key keeps them; a key without any is none.
    let again = dana.post("/api/settings/api-access", &json!({})).await.ok();
    assert_eq!(again["scopes"], json!(["inbox", "leads"]), "{again}");
    for wrong in [
        json!({ "scopes": ["people"] }),
        json!({ "scopes": ["settings", "inbox"] }),
        json!({ "scopes": ["everything"] }),
        json!({ "scopes": [] }),
        json!({ "scopes": "inbox" }),
        json!({ "scope": ["inbox"] }),
    ] {
        refused(&dana.post("/api/settings/api-access", &wrong).await, 400, "invalid_request");
    }
    exchange(&app, &again).await.ok();
}

#[tokio::test]
async fn a_new_key_ends_the_tokens_of_the_old_one_at_once() {
    let app = TestApp::start().await;
    let (dana, other) = (app.account("dana").await, app.account("other").await);
    let (first, others) = (client(&app, &dana, &Value::Null).await, client(&app, &other, &Value::Null).await);
    first.get("/api/flows").await.ok();
    let new = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    refused(&first.get("/api/flows").await, 401, "unauthorized");
    others.get("/api/flows").await.ok();
    dana.get("/api/flows").await.ok();
    let key = new["apiKey"].as_str().expect("a key");
    let prefix = new["keyPrefix"].as_str().expect("a prefix");
    assert!(prefix.len() == 11 && key.starts_with(prefix), "{new}");
    let shown = dana.get("/api/settings/api-access").await.ok();
    assert_eq!((&shown["keyPrefix"], shown.get("apiKey")), (&new["keyPrefix"], None), "{shown}");
    let told =
        "select details from audit_entries where action = 'api_key.rotated' and tenant_id::text = $1 order by id";
    let told: Vec<Value> =
        sqlx::query_scalar(told).bind(&dana.id).fetch_all(&app.database.pool).await.expect("entries");
    assert_eq!((told.len(), &told[1]["tokensEnded"], &told[1]["keyPrefix"]), (2, &json!(1), &new["keyPrefix"]));
    let everything = "select string_agg(t::text, ' ') from (select details::text from audit_entries
        union all select c::text from api_clients c union all select s::text from sessions s) t";
    let everything: String = sqlx::query_scalar(everything).fetch_one(&app.database.pool).await.expect("texts");
    assert!(!everything.contains(&key[prefix.len() + 1..]), "the key is kept nowhere");
}

#[tokio::test]
async fn a_key_that_is_rotated_while_it_is_exchanged_makes_no_token() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    client(&app, &dana, &Value::Null).await;
    let access = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    let change = "update api_clients set key_hash = repeat('0', 64)";
    refused(&super::sessions::meanwhile(&app, change, exchange(&app, &access)).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_wrong_key_an_unknown_client_and_no_text_at_all_look_the_same() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    client(&app, &dana, &Value::Null).await;
    let access = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    let (id, key) = (&access["clientId"], access["apiKey"].as_str().expect("a key"));
    let almost = format!("{}{}", &key[..key.len() - 1], if key.ends_with('A') { 'B' } else { 'A' });
    let first = exchange(&app, &json!({ "clientId": "aiflow_unknown", "apiKey": key })).await;
    refused(&first, 401, "unauthorized");
    for (id, key) in [(id, almost.as_str()), (id, ""), (id, &access["keyPrefix"].to_string()), (&json!(""), key)] {
        let answer = exchange(&app, &json!({ "clientId": id, "apiKey": key })).await;
        assert_eq!((answer.status, &answer.body), (first.status, &first.body), "{id} {key}");
    }
    exchange(&app, &access).await.ok();
}

#[tokio::test]
async fn an_administrators_api_client_administers_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let dana = app.account("dana").await;
    let client = client(&app, &admin, &Value::Null).await;
    client.get("/api/flows").await.ok();
    let other = format!("/api/flows?userId={}", dana.id);
    for path in ["/api/users", "/api/admin/projections", "/api/admin/signing-keys", other.as_str()] {
        refused(&client.get(path).await, 403, "forbidden");
        admin.get(path).await.ok();
    }
    for path in ["/api/settings/api-access", "/api/admin/signing-keys"] {
        refused(&client.post(path, &Value::Null).await, 403, "forbidden");
    }
    let own = format!("/api/users/{}", dana.id);
    refused(&client.put(&own, &json!({ "role": "admin" })).await, 403, "forbidden");
}
