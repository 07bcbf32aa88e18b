//! Flows that other systems start: `webhook/outbound`, `webhook/flow/{flowId}` and its `/lead`.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp, eventually};
use tests::flows::{drawflow, echo};
use tests::webhook::signature;
use uuid::Uuid;

use super::refused;

const PHONE: &str = "+972501234567";
const OUTBOUND: &str = "/api/webhook/outbound";

fn outbound() -> Value {
    drawflow(&[
        ("1", "trigger_outbound", json!({ "requireTemplateWhenWindowClosed": false }), &["2"]),
        (
            "2",
            "send_template",
            json!({ "templateName": "order", "language": "he", "params": ["{{customerName}}", "{{orderId}}"] }),
            &["3"],
        ),
        ("3", "wait_reply", json!({ "saveAs": "when" }), &["4"]),
        ("4", "send_text", json!({ "text": "{{when}} it is, {{customerName}}" }), &[]),
    ])
}

/// What a caller sends before the flow: a template, whose answer goes on.
fn continuing() -> Value {
    drawflow(&[
        ("1", "trigger_outbound", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "Good, {{customerName}}: code {{code}}" }), &[]),
    ])
}

fn by_payload(kind: &str, auth: &Value) -> Value {
    let mapping = json!([{ "from": "phone", "to": "phone", "required": true, "type": "phone" },
                         { "from": "fullName", "to": "name", "required": true }]);
    drawflow(&[
        ("1", kind, json!({ "mapping": mapping, "auth": auth }), &["2"]),
        (
            "2",
            "send_template",
            json!({ "templateName": "hi", "language": "en", "params": ["{{name}}", "{{product}}"] }),
            &[],
        ),
    ])
}

async fn dana_with_line(app: &TestApp) -> SignedIn {
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana
}

#[tokio::test]
async fn an_outbound_flow_writes_first_and_goes_on_with_the_answer() {
    let app = TestApp::start().await;
    let dana = dana_with_line(&app).await;
    let flow = dana.has_flow("Out", &outbound()).await;
    let body = json!({ "phone": PHONE, "flowId": flow, "data": { "customerName": "John", "orderId": "ORD-123" } });
    let answer = dana.post(OUTBOUND, &body).await.ok();
    let expected =
        json!({ "success": true, "message": format!("Outbound flow triggered for {PHONE}"), "flowId": flow });
    assert_eq!(answer, expected);
    // Without `queue`, the phone shows it by now.
    let shown = app.answers(PHONE).await;
    assert!(shown[0].contains("John") && shown[0].contains("ORD-123"), "{shown:?}");
    let row = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    eventually("the run to wait for an answer", async || {
        (dana.get(&path).await.ok()["flowRun"]["nodeId"] == "3").then_some(())
    })
    .await;
    app.customer_writes(PHONE, "Tuesday").await;
    let answers = app.wait_for_answers(PHONE, 2).await;
    assert!(answers[1].contains("Tuesday it is, John"), "{answers:?}");
    assert_eq!(row["flowId"], json!(flow));
}

#[tokio::test]
async fn a_template_goes_first_and_its_answer_continues_the_same_flow() {
    let app = TestApp::start().await;
    let dana = dana_with_line(&app).await;
    dana.has_flow("Echo", &echo()).await;
    let flow = dana.has_flow("Continue", &continuing()).await;
    let data = json!({ "customerName": "John", "templateLanguage": "he", "templateParams": ["123456"] });
    let body = json!({ "phone": PHONE, "flowId": flow, "templateName": "hello_utility", "queue": true, "data": data });
    dana.post(OUTBOUND, &body).await.ok();
    let first = app.wait_for_answers(PHONE, 1).await;
    assert!(
        first[0].contains("hello_utility") && first[0].contains("\"he\"") && first[0].contains("123456"),
        "{first:?}"
    );
    app.customer_writes(PHONE, "yes please").await;
    let second = app.wait_for_answers(PHONE, 2).await;
    assert!(second[1].contains("Good, John: code 123456"), "the catch-all flow stays out of it: {second:?}");
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_and_nothing_is_sent() {
    let app = TestApp::start().await;
    let (dana, eve) = (dana_with_line(&app).await, app.account("eve").await);
    let flow = dana.has_flow("Out", &continuing()).await;
    let inbound_only = dana.has_flow("Echo", &echo()).await;
    let paused = dana.has_flow("Paused", &continuing()).await;
    dana.put(&format!("/api/flows/{paused}"), &json!({ "status": "paused" })).await.ok();
    let body = |phone: &str, flow: &str| json!({ "phone": phone, "flowId": flow, "templateName": "hello" });
    refused(&dana.post(OUTBOUND, &body(PHONE, &inbound_only)).await, 400, "invalid_request");
    refused(&dana.post(OUTBOUND, &body(PHONE, &paused)).await, 400, "invalid_request");
    refused(&dana.post(OUTBOUND, &body("0501234567", &flow)).await, 400, "phone_invalid");
    refused(&dana.post(OUTBOUND, &body(PHONE, "7")).await, 400, "invalid_request");
    refused(&dana.post(OUTBOUND, &json!({ "phone": PHONE })).await, 400, "invalid_request");
    refused(&dana.post(OUTBOUND, &json!({ "phone": PHONE, "flowId": flow, "wait": 1 })).await, 400, "invalid_request");
    let groups = json!({ "phone": PHONE, "flowId": flow, "templateGroupId": "g" });
    refused(&dana.post(OUTBOUND, &groups).await, 400, "template_unknown");
    let (foreign, unknown) = (
        eve.post(OUTBOUND, &body(PHONE, &flow)).await,
        eve.post(OUTBOUND, &body(PHONE, &Uuid::new_v4().to_string())).await,
    );
    refused(&foreign, 404, "not_found");
    assert_eq!(foreign.body, unknown.body);
    // Nobody wrote within 24 hours, and no template is named.
    let bare = dana.post(OUTBOUND, &json!({ "phone": PHONE, "flowId": flow })).await;
    assert_eq!(refused(&bare, 409, "window_closed")["windowOpen"], false);
    refused(&app.call(Method::POST, OUTBOUND, Some(&body(PHONE, &flow)), &[]).await, 401, "unauthorized");
    assert!(app.phone_shows(PHONE).await.is_empty());
    assert_eq!(dana.get("/api/conversations").await.ok(), json!([]));
    // The channel's own refusal is told to whoever waits for it.
    let refusing = json!({ "phone": "+15559131026", "flowId": flow, "templateName": "hello" });
    refused(&dana.post(OUTBOUND, &refusing).await, 409, "send_refused");
}

/// A call of a trigger with these bytes and headers.
async fn call(app: &TestApp, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = app.http.post(format!("{}{path}", app.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.body(body.to_owned()).send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_default();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
}

#[tokio::test]
async fn every_way_to_authenticate_admits_its_own_credentials_alone() {
    let app = TestApp::start().await;
    let (dana, eve) = (dana_with_line(&app).await, app.account("eve").await);
    let body = "{\"phone\": \"+972501234567\",  \"fullName\": \"דנה\", \"product\": \"Premium\"}";
    let (signed, other) = (signature("hush", body.as_bytes()), signature("hush", body.replace("  ", " ").as_bytes()));
    let (basic, wrong_basic) =
        (format!("Basic {}", STANDARD.encode("u:p")), format!("Basic {}", STANDARD.encode("u:q")));
    let modes = [
        (json!({ "mode": "api_key", "apiKey": "k1" }), "x-api-key", "k1", "k2"),
        (json!({ "mode": "api_key", "apiKey": "k1", "headerName": "X-Shop-Key" }), "x-shop-key", "k1", ""),
        (
            json!({ "mode": "basic", "username": "u", "password": "p" }),
            "authorization",
            basic.as_str(),
            wrong_basic.as_str(),
        ),
        (json!({ "mode": "bearer", "token": "t1" }), "authorization", "Bearer t1", "Bearer t2"),
        (json!({ "mode": "hmac", "secret": "hush" }), "x-signature-256", signed.as_str(), other.as_str()),
        (json!({ "mode": "hmac", "secret": "hush" }), "x-signature-256", &signed[7..], &signed[..40]),
    ];
    for (auth, header, good, bad) in &modes {
        for (kind, tail) in [("trigger_api", ""), ("trigger_lead_api", "/lead")] {
            let path = format!("/api/webhook/flow/{}{tail}", dana.has_flow(kind, &by_payload(kind, auth)).await);
            refused(&call(&app, &path, body, &[]).await, 401, "unauthorized");
            refused(&call(&app, &path, body, &[(header, bad)]).await, 401, "unauthorized");
            refused(&eve.post(&path, &serde_json::from_str(body).expect("JSON")).await, 404, "not_found");
            let started = call(&app, &path, body, &[(header, good)]).await.ok();
            assert_eq!(started["success"], true, "{auth}");
            // The account's own token is always enough.
            dana.post(&path, &serde_json::from_str(body).expect("JSON")).await.ok();
        }
    }
    let jwt = dana.has_flow("jwt", &by_payload("trigger_api", &json!({ "mode": "jwt" }))).await;
    refused(&call(&app, &format!("/api/webhook/flow/{jwt}"), body, &[]).await, 401, "unauthorized");
    let open = dana.has_flow("open", &by_payload("trigger_api", &json!({ "mode": "none" }))).await;
    call(&app, &format!("/api/webhook/flow/{open}"), body, &[]).await.ok();
    // Whatever does not start for who calls looks like a flow that is not there.
    let unknown = call(&app, &format!("/api/webhook/flow/{}", Uuid::new_v4()), body, &[]).await;
    let (closed, unfit) = (format!("/api/webhook/flow/{jwt}"), format!("/api/webhook/flow/{open}/lead"));
    refused(&unknown, 401, "unauthorized");
    for path in [closed, unfit] {
        let answer = call(&app, &path, body, &[]).await;
        assert_eq!((answer.status, answer.body), (unknown.status, unknown.body.clone()));
    }
    refused(&dana.post(&format!("/api/webhook/flow/{open}/lead"), &json!({})).await, 400, "invalid_request");
}

#[tokio::test]
async fn a_query_starts_a_flow_too() {
    let app = TestApp::start().await;
    let dana = dana_with_line(&app).await;
    let flow = dana.has_flow("hmac", &by_payload("trigger_api", &json!({ "mode": "hmac", "secret": "hush" }))).await;
    let query = "phone=%2B972501234567&fullName=Dana%20Levi&product=Premium";
    let path = format!("/api/webhook/flow/{flow}?{query}");
    refused(&app.call(Method::GET, &path, None, &[]).await, 401, "unauthorized");
    let signed = signature("hush", query.as_bytes());
    let started = app.call(Method::GET, &path, None, &[("x-signature-256", &signed)]).await.ok();
    assert_eq!(started["variables"], json!(["phone", "product", "name"]));
    assert!(app.wait_for_answers(PHONE, 1).await[0].contains("Dana Levi"));
    // A plus that no one encoded is a plus before a phone.
    let plain = format!("/api/webhook/flow/{flow}?phone=+972501234568&fullName=Omer");
    dana.get(&plain).await.ok();
    app.wait_for_answers("+972501234568", 1).await;
}

#[tokio::test]
async fn a_lead_is_captured_and_mapped() {
    let app = TestApp::start().await;
    let dana = dana_with_line(&app).await;
    let flow = dana.has_flow("Lead", &by_payload("trigger_lead_api", &json!({ "mode": "jwt" }))).await;
    let path = format!("/api/webhook/flow/{flow}/lead");
    let payload = json!({ "phone": "+972 50 123 4567", "fullName": "John Doe", "email": "john@example.com", "source": "website", "product": "Premium" });
    let answer = dana.post(&path, &payload).await.ok();
    assert_eq!(answer["message"], "Lead received and flow started");
    // As sent (`json!` sorts); what the mapping renames comes last.
    assert_eq!(answer["variables"], json!(["email", "phone", "product", "source", "name"]));
    let lead = eventually("the lead", async || {
        let answer = dana.get("/api/leads/972501234567").await;
        answer.status.is_success().then_some(answer.body)
    })
    .await;
    let expected = json!({ "name": "John Doe", "email": "john@example.com", "source": "website", "fields": { "product": "Premium" } });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&lead[name], value, "{lead}");
    }
    assert!(app.wait_for_answers(PHONE, 1).await[0].contains("John Doe"));
    for (wrong, field) in [
        (json!({ "phone": "+972501234569" }), "fullName"),
        (json!({ "phone": "+972501234569", "fullName": " " }), "fullName"),
        (json!({ "phone": "call me", "fullName": "John" }), "phone"),
    ] {
        let refusal = refused(&dana.post(&path, &wrong).await, 400, "invalid_request");
        assert_eq!(refusal["problems"][0]["field"], field, "{refusal}");
    }
    for wrong in ["[]", "7", "{", ""] {
        let token = json!({ "mode": "none" });
        let open = dana.has_flow("Open", &by_payload("trigger_lead_api", &token)).await;
        refused(&call(&app, &format!("/api/webhook/flow/{open}/lead"), wrong, &[]).await, 400, "invalid_request");
    }
    assert_eq!(dana.get("/api/leads").await.ok().as_array().map(Vec::len), Some(1), "nothing else is stored");
}

#[tokio::test]
async fn thirty_triggers_a_minute_are_enough() {
    let app = TestApp::start_with(Options::default(), RateLimits::standard()).await;
    let dana = dana_with_line(&app).await;
    let body = json!({ "phone": PHONE, "flowId": Uuid::new_v4() });
    for _ in 0..30 {
        refused(&dana.post(OUTBOUND, &body).await, 404, "not_found");
    }
    let limited = dana.post(OUTBOUND, &body).await;
    refused(&limited, 429, "rate_limited");
    assert_eq!((limited.header("ratelimit-limit"), limited.header("ratelimit-remaining")), (Some("30"), Some("0")));
    assert!(
        limited
            .header("retry-after")
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|wait| (1..=60).contains(&wait))
    );
    let admin = app.admin().await;
    refused(&admin.post(OUTBOUND, &body).await, 404, "not_found");
}
