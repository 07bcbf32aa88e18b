//! Who may start a flow by its own credentials: every mode against every wrong way, and signatures with a time.

use std::sync::atomic::{AtomicU32, Ordering};

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};
use tests::flows::drawflow;
use tests::webhook::signature;

use super::refused;

const BODY: &str = r#"{"phone": "+972501234567",  "name": "Dana"}"#;
const KINDS: [(&str, &str); 2] = [("trigger_api", ""), ("trigger_lead_api", "/lead")];

/// A flow started by this kind of trigger with this `auth`; its address.
async fn triggered_by(owner: &SignedIn, kind: &str, tail: &str, auth: &Value) -> String {
    static FLOWS: AtomicU32 = AtomicU32::new(0);
    let graph = drawflow(&[("1", kind, json!({ "auth": auth }), &["2"]), ("2", "end", json!({}), &[])]);
    let name = format!("flow {}", FLOWS.fetch_add(1, Ordering::Relaxed));
    format!("/api/webhook/flow/{}{tail}", owner.has_flow(&name, &graph).await)
}

async fn call(app: &TestApp, path: &str, body: &str, headers: &[(&str, String)]) -> Answer {
    let mut request = app.http.post(format!("{}{path}", app.base)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.body(body.to_owned()).send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_default();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// The mode, which of all the headers fits it, and what looks like it.
type Mode = (Value, Option<usize>, Vec<(&'static str, String)>);

#[tokio::test]
async fn every_mode_refuses_whatever_is_not_its_own() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let signed = signature("hush", BODY.as_bytes());
    let every: [(&str, String); 5] = [
        ("x-api-key", "k1".to_owned()),
        ("authorization", basic("u:p")),
        ("authorization", "Bearer t1".to_owned()),
        ("x-signature-256", signed.clone()),
        ("authorization", "Bearer not.a.session".to_owned()),
    ];
    let modes: [Mode; 5] = [
        (
            json!({ "mode": "api_key", "apiKey": "k1" }),
            Some(0),
            vec![
                ("x-api-key", "k2".into()),
                ("x-api-key", String::new()),
                ("x-api-key", "K1".into()),
                ("x-key", "k1".into()),
            ],
        ),
        (
            json!({ "mode": "basic", "username": "u", "password": "p" }),
            Some(1),
            vec![
                ("authorization", basic("u:q")),
                ("authorization", basic("v:p")),
                ("authorization", basic("u:")),
                ("authorization", "Basic dTpw dTpw".into()),
                ("authorization", "Bearer dTpw".into()),
            ],
        ),
        (
            json!({ "mode": "bearer", "token": "t1" }),
            Some(2),
            vec![
                ("authorization", "Bearer t2".into()),
                ("authorization", "Bearer ".into()),
                ("authorization", "t1".into()),
                ("authorization", basic("t1:")),
            ],
        ),
        (
            json!({ "mode": "hmac", "secret": "hush" }),
            Some(3),
            vec![
                ("x-signature-256", signature("Hush", BODY.as_bytes())),
                ("x-signature-256", signature("", BODY.as_bytes())),
                ("x-signature-256", signature("hush", BODY.replace("  ", " ").as_bytes())),
                ("x-signature-256", signed[..40].to_owned()),
                ("x-signature-256", signed.replace("sha256=", "sha1=")),
                ("x-signature-256", String::new()),
                ("x-hub-signature-256", signed.clone()),
            ],
        ),
        (json!({ "mode": "jwt" }), None, Vec::new()),
    ];
    for (auth, fits, looks_like) in &modes {
        for (kind, tail) in KINDS {
            let path = triggered_by(&dana, kind, tail, auth).await;
            let wrong = every.iter().enumerate().filter(|(n, _)| Some(*n) != *fits).map(|(_, header)| header);
            refused(&call(&app, &path, BODY, &[]).await, 401, "unauthorized");
            for header in wrong.chain(looks_like) {
                let answer = call(&app, &path, BODY, std::slice::from_ref(header)).await;
                assert_eq!(answer.status, 401, "{auth} took {header:?}: {}", answer.text);
            }
            if let Some(n) = *fits {
                call(&app, &path, BODY, &every[n..=n]).await.ok();
            }
        }
    }
    let started = "select count(*) from events where event_type = 'conversation.flow_run_started'";
    let runs: i64 = sqlx::query_scalar(started).fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(runs, 8, "four modes, two triggers, one call each");
}

#[tokio::test]
async fn a_secret_that_is_empty_or_left_out_starts_nothing() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for auth in [
        json!({ "mode": "api_key", "apiKey": "" }),
        json!({ "mode": "api_key" }),
        json!({ "mode": "basic", "username": "u", "password": "" }),
        json!({ "mode": "bearer", "token": " " }),
        json!({ "mode": "hmac", "secret": "" }),
        json!({ "mode": "hmac" }),
        json!({ "mode": "open" }),
    ] {
        let graph = drawflow(&[("1", "trigger_api", json!({ "auth": auth }), &["2"]), ("2", "end", json!({}), &[])]);
        let flow = json!({ "name": "Open", "status": "active", "drawflowData": graph });
        let answer = dana.post("/api/flows", &flow).await;
        assert_eq!(answer.status, 400, "{auth}: {}", answer.text);
    }
    // Whoever says nothing means a session of the account; only who says `none` lets anybody in.
    dana.has_line().await;
    for (data, status) in [(json!({}), 401), (json!({ "auth": { "mode": "none" } }), 200)] {
        let graph = drawflow(&[("1", "trigger_api", data.clone(), &["2"]), ("2", "end", json!({}), &[])]);
        let flow = dana.has_flow("Quiet", &graph).await;
        let answer = call(&app, &format!("/api/webhook/flow/{flow}"), BODY, &[]).await;
        assert_eq!(answer.status, status, "{data}: {}", answer.text);
    }
}

/// Headers of a call signed `ago` seconds ago.
fn signed_ago(ago: i64, body: &str) -> [(&'static str, String); 2] {
    let timestamp = (Utc::now().timestamp() - ago).to_string();
    let signature = signature("hush", format!("{timestamp}.{body}").as_bytes());
    [("x-timestamp", timestamp), ("x-signature-256", signature)]
}

#[tokio::test]
async fn a_signature_with_a_time_is_good_for_five_minutes_and_one_call() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let hmac = json!({ "mode": "hmac", "secret": "hush" });
    for (kind, tail) in KINDS {
        let path = triggered_by(&dana, kind, tail, &hmac).await;
        for ago in [290, -290, 0] {
            let headers = signed_ago(ago, BODY);
            call(&app, &path, BODY, &headers).await.ok();
            refused(&call(&app, &path, BODY, &headers).await, 409, "signature_replayed");
            // Spelt differently it is the same signature.
            let [time, (name, signature)] = headers.clone();
            let shouted = [time, (name, signature.trim_start_matches("sha256=").to_uppercase())];
            refused(&call(&app, &path, BODY, &shouted).await, 409, "signature_replayed");
            // Without its time, and with another one, it fits nothing.
            refused(&call(&app, &path, BODY, &headers[1..]).await, 401, "unauthorized");
            let moved = [("x-timestamp", Utc::now().timestamp().wrapping_add(7).to_string()), headers[1].clone()];
            refused(&call(&app, &path, BODY, &moved).await, 401, "unauthorized");
        }
        for ago in [310, -310, 3_600, -1_000_000, Utc::now().timestamp()] {
            refused(&call(&app, &path, BODY, &signed_ago(ago, BODY)).await, 401, "unauthorized");
        }
        let plain = signature("hush", BODY.as_bytes());
        for time in ["", "soon", "1e9", "99999999999999999999"] {
            let headers = [("x-timestamp", time.to_owned()), ("x-signature-256", plain.clone())];
            refused(&call(&app, &path, BODY, &headers).await, 401, "unauthorized");
            let signed = signature("hush", format!("{time}.{BODY}").as_bytes());
            let headers = [("x-timestamp", time.to_owned()), ("x-signature-256", signed)];
            refused(&call(&app, &path, BODY, &headers).await, 401, "unauthorized");
        }
        // The old way, over the body alone, is good for ever.
        for _ in 0..2 {
            call(&app, &path, BODY, &[("x-signature-256", plain.clone())]).await.ok();
        }
    }
}

#[tokio::test]
async fn a_query_signed_with_a_time_cannot_be_made_one_without() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let path = triggered_by(&dana, "trigger_api", "", &json!({ "mode": "hmac", "secret": "hush" })).await;
    let query = "name=Dana&phone=%2B972501234567";
    let [(_, time), (_, signed)] = signed_ago(0, query);
    let ask = async |query: &str, time: Option<&str>| {
        let headers = [("x-signature-256", signed.as_str()), ("x-timestamp", time.unwrap_or_default())];
        let headers = if time.is_some() { &headers[..] } else { &headers[..1] };
        app.call(Method::GET, &format!("{path}?{query}"), None, headers).await
    };
    refused(&ask(&format!("{time}.{query}"), None).await, 401, "unauthorized");
    ask(query, Some(&time)).await.ok();
    refused(&ask(query, Some(&time)).await, 409, "signature_replayed");
}

#[tokio::test]
async fn a_signature_used_on_one_node_is_used_on_the_other() {
    let one = TestApp::start().await;
    let other = TestApp::on(one.database.again(), Options::default(), RateLimits::lifted()).await;
    let dana = one.account("dana").await;
    dana.has_line().await;
    let path = triggered_by(&dana, "trigger_api", "", &json!({ "mode": "hmac", "secret": "hush" })).await;
    let headers = signed_ago(0, BODY);
    let calls = (0..12).map(|n| call(if n % 2 == 0 { &one } else { &other }, &path, BODY, &headers));
    let answers = futures::future::join_all(calls).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[409; 11][..]), "{answers:?}");
}
