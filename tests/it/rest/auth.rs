//! Signing in: the cookie, the API token, what ends them, and how often one may try.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};

use super::refused;

async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await
}

async fn exchange(app: &TestApp, access: &Value) -> Answer {
    let body = json!({ "clientId": access["clientId"], "apiKey": access["apiKey"], "ttlSec": 3600 });
    app.call(Method::POST, "/api/auth/api-token", Some(&body), &[]).await
}

async fn me_with(app: &TestApp, header: (&str, &str)) -> Answer {
    app.call(Method::GET, "/api/auth/me", None, &[header]).await
}

/// The account's key, approved; and a token made with it.
async fn api_client(app: &TestApp, dana: &SignedIn) -> (Value, String) {
    let access = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    let path = format!("/api/users/{}", dana.id);
    app.admin().await.put(&path, &json!({ "apiAccessApproved": true })).await.ok();
    let token = exchange(app, &access).await.ok();
    (access, token["accessToken"].as_str().expect("a token").to_owned())
}

#[tokio::test]
async fn the_cookie_is_the_session_and_logout_ends_it() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let answer = log_in(&app, "dana", "correct horse").await;
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    let parts: Vec<&str> = cookie.split("; ").collect();
    assert!(parts[0].starts_with("wdf_token=") && parts[0].len() > 40, "{cookie}");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(parts.contains(&part), "{cookie}");
    }
    let user = json!({ "id": dana.id, "username": "dana", "displayName": "dana", "email": "dana@example.com", "role": "user" });
    let body = answer.ok();
    for (name, value) in user.as_object().expect("members") {
        assert_eq!(&body["user"][name], value, "{body}");
    }
    assert!(!body.to_string().contains("password"), "{body}");
    let session = parts[0].to_owned();
    assert_eq!(me_with(&app, ("cookie", &session)).await.ok()["user"]["id"], json!(dana.id));
    let out = app.call(Method::POST, "/api/auth/logout", None, &[("cookie", &session)]).await;
    assert!(out.header("set-cookie").is_some_and(|it| it.starts_with("wdf_token=;") && it.contains("Max-Age=0")));
    assert_eq!(out.ok(), json!({ "success": true }));
    // A copy of the cookie is worth nothing now; another session of the same person goes on.
    refused(&me_with(&app, ("cookie", &session)).await, 401, "unauthorized");
    dana.get("/api/auth/me").await.ok();
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let wrong = log_in(&app, "dana", "wrong horse").await;
    let unknown = log_in(&app, "nobody", "correct horse").await;
    refused(&wrong, 401, "unauthorized");
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
    assert!(wrong.headers.get("set-cookie").is_none());
    let incomplete = app.call(Method::POST, "/api/auth/login", Some(&json!({ "username": "dana" })), &[]).await;
    assert_eq!(refused(&incomplete, 400, "invalid_request")["problems"][0]["field"], "password");
}

#[tokio::test]
async fn api_credentials_work_once_an_administrator_approves_them() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    assert_eq!(dana.get("/api/settings/api-access").await.ok()["approved"], json!(false));
    let access = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    assert!(access["apiKey"].as_str().is_some_and(|key| key.starts_with("sk_")), "{access}");
    refused(&exchange(&app, &access).await, 403, "forbidden");
    let own = format!("/api/users/{}", dana.id);
    refused(&dana.put(&own, &json!({ "apiAccessApproved": true })).await, 403, "forbidden");
    app.admin().await.put(&own, &json!({ "apiAccessApproved": true })).await.ok();
    let shown = dana.get("/api/settings/api-access").await.ok();
    assert_eq!((&shown["approved"], shown.get("apiKey")), (&json!(true), None), "{shown}");
    let token = exchange(&app, &access).await.ok();
    let expected = json!({ "success": true, "tokenType": "Bearer", "accessToken": token["accessToken"], "expiresInSec": 3600,
                           "clientNumber": dana.id, "clientId": access["clientId"] });
    assert_eq!(token, expected);
    let server = app.bearer(token["accessToken"].as_str().expect("a token"), &dana.id);
    assert_eq!(server.get("/api/auth/me").await.ok()["user"]["username"], "dana");
    server.post("/api/flows", &json!({ "name": "By token" })).await.ok();
    let wrong = json!({ "clientId": access["clientId"], "apiKey": "sk_wrong" });
    refused(&exchange(&app, &wrong).await, 401, "unauthorized");
    let unknown = json!({ "clientId": "aiflow_unknown", "apiKey": access["apiKey"] });
    refused(&exchange(&app, &unknown).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_rotated_key_and_a_withdrawn_approval_stop_working() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let (old, token) = api_client(&app, &dana).await;
    let new = dana.post("/api/settings/api-access", &Value::Null).await.ok();
    assert_eq!(new["clientId"], old["clientId"]);
    assert_ne!(new["apiKey"], old["apiKey"]);
    refused(&exchange(&app, &old).await, 401, "unauthorized");
    exchange(&app, &new).await.ok();
    let withdrawn = json!({ "apiAccessApproved": false });
    app.admin().await.put(&format!("/api/users/{}", dana.id), &withdrawn).await.ok();
    refused(&exchange(&app, &new).await, 403, "forbidden");
    refused(&app.bearer(&token, &dana.id).get("/api/auth/me").await, 401, "unauthorized");
    let keys = "select key_hash from api_clients";
    let kept: String = sqlx::query_scalar(keys).fetch_one(&app.database.pool).await.expect("a row");
    assert!(!kept.contains(new["apiKey"].as_str().expect("a key").trim_start_matches("sk_")));
}

#[tokio::test]
async fn forged_expired_and_garbage_tokens_are_nobody() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let (_, token) = api_client(&app, &dana).await;
    assert!(me_with(&app, ("authorization", &format!("Bearer {token}"))).await.status.is_success());
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT: {token}") };
    let unsigned = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
    let last = if signature.ends_with('A') { "B" } else { "A" };
    let flipped = format!("{head}.{claims}.{}{last}", &signature[..signature.len() - 1]);
    let mut told: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("claims")).expect("JSON");
    told["exp"] = json!(4_102_444_800_u64);
    let stretched = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(told.to_string()));
    let garbage = ["x", "a.b.c", "..", "undefined", &"A".repeat(8_000)];
    for bad in garbage.into_iter().chain([
        unsigned.as_str(),
        &stretched,
        &format!("{head}.{claims}."),
        &flipped[..flipped.len() - 2],
    ]) {
        refused(&me_with(&app, ("authorization", &format!("Bearer {bad}"))).await, 401, "unauthorized");
        refused(&me_with(&app, ("cookie", &format!("wdf_token={bad}"))).await, 401, "unauthorized");
    }
    refused(&app.call(Method::GET, "/api/auth/me", None, &[]).await, 401, "unauthorized");
    let expire = "update sessions set expires_at = now() - interval '1 second'";
    sqlx::query(expire).execute(&app.database.pool).await.expect("an update");
    // What a process knows of a session it may know for a moment; a fresh process asks.
    let fresh = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    refused(&me_with(&fresh, ("authorization", &format!("Bearer {token}"))).await, 401, "unauthorized");
}

#[tokio::test]
async fn the_eleventh_attempt_has_to_wait() {
    let app = TestApp::start_with(Options::default(), RateLimits::standard()).await;
    for n in 0..10 {
        // Ten names: of one alone, the later attempts would have to wait for their turns.
        refused(&log_in(&app, &format!("admin{n}"), "wrong").await, 401, "unauthorized");
    }
    let limited = log_in(&app, "admin", "admin-password").await;
    refused(&limited, 429, "rate_limited");
    let wait: u64 = limited.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    assert!((1..=900).contains(&wait), "{wait}");
    // The other operation has an allowance of its own.
    let unknown = json!({ "clientId": "aiflow_x", "apiKey": "sk_x" });
    refused(&exchange(&app, &unknown).await, 401, "unauthorized");
}
