//! Every failure is `{"error", "code"}`, the framework's own too; and who is nobody gets nowhere.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};
use tests::flows::echo;
use tests::webhook::signature;
use uuid::Uuid;

use super::refused;

/// A call with these bytes.
async fn raw(
    app: &TestApp,
    method: Method,
    path: &str,
    kind: Option<&str>,
    body: Vec<u8>,
    token: Option<&str>,
) -> Answer {
    let mut request = app.http.request(method, format!("{}{path}", app.base));
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    if let Some(token) = token {
        request = request.header("cookie", token);
    }
    let response = request.body(body).send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_default();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
}

/// The cookie of the administrator.
async fn cookie(app: &TestApp) -> String {
    let body = json!({ "username": "admin", "password": "admin-password" });
    let answer = app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await;
    answer.header("set-cookie").and_then(|text| text.split(';').next()).expect("a cookie").to_owned()
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let app = TestApp::start().await;
    for (method, path) in [
        (Method::GET, "/api/nowhere"),
        (Method::POST, "/api/flows/1/2/3"),
        (Method::GET, "/nowhere"),
        (Method::GET, "/"),
        (Method::GET, "/api/flows/%ff"),
        (Method::GET, "/api/../etc/passwd"),
    ] {
        let answer = app.call(method.clone(), path, None, &[]).await;
        assert!(answer.status.is_client_error() && answer.body["code"].is_string(), "{method} {path}: {}", answer.text);
    }
    for (method, path, allow) in [
        (Method::PATCH, "/api/flows", "GET, HEAD, POST"),
        (Method::DELETE, "/api/auth/login", "POST"),
        (Method::POST, "/api/auth/me", "GET, HEAD"),
        (Method::PUT, "/api/webhook/whatsapp", "GET, HEAD, POST"),
        (Method::POST, "/api/leads/972501234567", "GET, HEAD, PUT"),
    ] {
        let answer = app.call(method.clone(), path, None, &[]).await;
        refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn bodies_that_are_none() {
    let app = TestApp::start().await;
    let token = cookie(&app).await;
    let json = Some("application/json");
    let post = async |kind, body: Vec<u8>| raw(&app, Method::POST, "/api/flows", kind, body, Some(&token)).await;
    for body in
        ["", "{", "{\"name\": }", "nonsense", "{\"name\": \"a\"} {}", "\u{feff}{}", "null", "7", "\"text\"", "[]"]
    {
        refused(&post(json, body.into()).await, 400, "invalid_request");
    }
    refused(&post(json, vec![b'"', 0xff, 0xfe, b'"']).await, 400, "invalid_request");
    refused(&post(json, "[".repeat(100_000).into_bytes()).await, 400, "invalid_request");
    let deep = format!("{{\"name\": \"a\", \"drawflowData\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    refused(&post(json, deep.into_bytes()).await, 400, "invalid_request");
    for kind in [None, Some("text/plain"), Some("multipart/form-data"), Some("application/x-www-form-urlencoded")] {
        refused(&post(kind, b"{\"name\": \"a\"}".to_vec()).await, 415, "unsupported_content_type");
    }
    let with_charset = post(Some("application/json; charset=utf-8"), b"{\"name\": \"a\"}".to_vec()).await;
    assert_eq!(with_charset.status, StatusCode::CREATED, "{}", with_charset.text);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let app = TestApp::start().await;
    let token = cookie(&app).await;
    let large = |bytes: usize| format!("{{\"name\": \"{}\"}}", "x".repeat(bytes)).into_bytes();
    let post =
        async |path, body: Vec<u8>| raw(&app, Method::POST, path, Some("application/json"), body, Some(&token)).await;
    refused(&post("/api/flows", large(1 << 20)).await, 413, "too_large");
    refused(&post("/api/flows", large((1 << 20) - 100)).await, 400, "invalid_request");
    let secret = app.config.meta.app_secret.as_ref().expect("a secret").expose().clone();
    let deliver = async |body: Vec<u8>| app.deliver_bytes(&body, Some(&signature(&secret, &body))).await;
    refused(&deliver(large(3 << 20)).await, 413, "too_large");
    deliver(large((3 << 20) - 100)).await.ok();
    let journal: i64 =
        sqlx::query_scalar("select count(*) from webhook_journal").fetch_one(&app.database.pool).await.expect("rows");
    assert_eq!(journal, 1);
}

#[tokio::test]
async fn ids_and_parameters_that_are_none() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for path in
        ["/api/flows/7", "/api/conversations/x", "/api/users/-", "/api/flows/00000000-0000-0000-0000-000000000000"]
    {
        refused(&admin.get(path).await, 404, "not_found");
    }
    let unknown = admin.get("/api/flows/7").await;
    assert_eq!(unknown.body, admin.get(&format!("/api/flows/{}", Uuid::new_v4())).await.body);
    for path in [
        "/api/conversations?limit=many",
        "/api/flows?userId=me",
        "/api/leads?limit=-1",
        "/api/conversations?stats=perhaps",
    ] {
        refused(&admin.get(path).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_null_character_is_no_servers_fault() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let flow = admin.post("/api/flows", &json!({ "name": "A" })).await.ok();
    let path = format!("/api/flows/{}", flow["id"].as_str().expect("an id"));
    for query in ["conversations?search=%00", "leads?search=a%00b", "leads?status=%00"] {
        assert_handled(&admin.get(&format!("/api/{query}")).await);
    }
    assert_handled(&admin.post("/api/flows", &json!({ "name": "a\0b" })).await);
    assert_handled(&admin.post("/api/flows", &json!({ "name": "A", "description": "\0" })).await);
    let mut graph = echo();
    graph["drawflow"]["Home"]["data"]["2"]["data"]["note"] = json!("a\0b");
    assert_handled(&admin.put(&path, &json!({ "drawflowData": graph })).await);
    for lead in [
        json!({ "name": "a\0b" }),
        json!({ "fields": { "a\0": 1 } }),
        json!({ "tags": ["\0"] }),
        json!({ "source": "\0" }),
    ] {
        let mut lead = lead;
        lead["phone"] = json!("+972501234567");
        assert_handled(&admin.post("/api/leads", &lead).await);
    }
    let user = json!({ "username": "n\0l", "password": "correct horse", "email": "a@example.com" });
    assert_handled(&admin.post("/api/users", &user).await);
    let name = json!({ "username": "a\0b", "password": "\0" });
    assert_handled(&app.call(Method::POST, "/api/auth/login", Some(&name), &[]).await);
    // Whatever became of them: what is written afterwards can still be read.
    let later = admin.post("/api/flows", &json!({ "name": "Later" })).await;
    assert!(later.header("projection-lag").is_none(), "the read models stand still");
    later.ok();
    assert!(admin.post("/api/leads", &json!({ "phone": "+972501234568" })).await.header("projection-lag").is_none());
}

#[track_caller]
fn assert_handled(answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{}: {}", answer.status, answer.text);
}

/// Every operation of the document: method, path with random ids, and what it says of itself.
async fn operations(app: &TestApp) -> Vec<(Method, String, Value)> {
    let document = app.call(Method::GET, "/openapi.json", None, &[]).await.ok();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let filled: Vec<String> = path
            .split('/')
            .map(|part| if part.starts_with('{') { Uuid::new_v4().to_string() } else { part.to_owned() })
            .collect();
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_uppercase().parse().expect("a method");
            found.push((method, filled.join("/"), operation.clone()));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_that_is_not_public_asks_who_calls() {
    let app = TestApp::start().await;
    let (mut guarded, mut public) = (0, Vec::new());
    for (method, path, operation) in operations(&app).await {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let schemes = operation["security"].as_array().cloned().unwrap_or_default();
        if !schemes.iter().any(|it| it.get("cookieAuth").is_some()) || schemes.contains(&json!({})) {
            public.push(id);
            continue;
        }
        let body = json!({});
        let body = (method != Method::GET && method != Method::DELETE).then_some(&body);
        refused(&app.call(method.clone(), &path, body, &[]).await, 401, "unauthorized");
        let forged =
            app.call(method, &path, body, &[("authorization", "Bearer a.b.c"), ("cookie", "wdf_token=x")]).await;
        refused(&forged, 401, "unauthorized");
        guarded += 1;
    }
    public.sort_unstable();
    assert_eq!(
        public,
        [
            "createApiToken",
            "login",
            "receiveWhatsappWebhook",
            "register",
            "sendLeadToFlow",
            "sendVerification",
            "socialLogin",
            "triggerFlow",
            "triggerFlowByQuery",
            "verifyCode",
            "verifyWhatsappWebhook"
        ]
    );
    assert!(guarded >= 20, "{guarded}");
}

#[tokio::test]
async fn administrators_operations_are_closed_to_others() {
    let app = TestApp::start().await;
    let dana: SignedIn = app.account("dana").await;
    refused(&dana.get("/api/users").await, 403, "forbidden");
    let new = json!({ "username": "second", "password": "correct horse", "email": "s@example.com" });
    refused(&dana.post("/api/users", &new).await, 403, "forbidden");
    let admin = app.admin().await;
    refused(
        &admin
            .post("/api/users", &json!({ "username": "dana", "password": "correct horse", "email": "d@example.com" }))
            .await,
        409,
        "username_taken",
    );
    let other = json!({ "name": "Cross" });
    let token = cookie(&app).await;
    let headers = [("cookie", token.as_str()), ("origin", "https://evil.example")];
    refused(&app.call(Method::POST, "/api/flows", Some(&other), &headers).await, 403, "cross_origin");
}

#[tokio::test]
async fn head_is_a_get_without_a_body() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for path in ["/api/flows", "/api/auth/me", "/openapi.json", "/healthz"] {
        let (head, get) = (admin.call(Method::HEAD, path, None).await, admin.get(path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
    }
}
