//! Signing in with Google and Facebook, who are played over real HTTP.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};

use super::refused;

/// A token of a provider, as wanted.
async fn minted(app: &TestApp, provider: &str, wanted: &Value) -> Value {
    app.call(Method::POST, &format!("/sandbox/{provider}/tokens"), Some(wanted), &[]).await.ok()
}

async fn google(app: &TestApp, wanted: &Value) -> Answer {
    let token = minted(app, "google", wanted).await;
    sign_in(app, &json!({ "provider": "google", "idToken": token["idToken"] })).await
}

async fn sign_in(app: &TestApp, body: &Value) -> Answer {
    app.call(Method::POST, "/api/auth/social", Some(body), &[]).await
}

fn dana() -> Value {
    json!({ "sub": "1170", "email": "Dana@gmail.example", "name": "Dana Levi" })
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").and_then(|text| text.split(';').next()).expect("a cookie").to_owned()
}

async fn entries(app: &TestApp, action: &str) -> Vec<Value> {
    sqlx::query_scalar("select details from audit_entries where action = $1 order by id")
        .bind(action)
        .fetch_all(&app.database.pool)
        .await
        .expect("entries")
}

#[tokio::test]
async fn the_first_sign_in_makes_an_account_and_later_ones_find_it() {
    let app = TestApp::start().await;
    let first = google(&app, &dana()).await;
    let session = cookie(&first);
    assert!(first.header("set-cookie").is_some_and(|it| it.contains("HttpOnly; SameSite=Lax")));
    let user = first.ok()["user"].clone();
    assert_eq!(
        (&user["email"], &user["displayName"], &user["role"]),
        (&json!("Dana@gmail.example"), &json!("Dana Levi"), &json!("user"))
    );
    let me = app.call(Method::GET, "/api/auth/me", None, &[("cookie", &session)]).await.ok();
    assert_eq!(me["user"], user);
    // Known by Google's id of her, whatever else changes.
    let moved = json!({ "sub": "1170", "email": "new@gmail.example", "emailVerified": false, "name": "D. Levi" });
    assert_eq!(google(&app, &moved).await.ok()["user"], user);
    let same_name = json!({ "sub": "1171", "email": "dana@gmail.example" });
    refused(&google(&app, &same_name).await, 409, "account_exists");
    let by = entries(&app, "user.created").await.into_iter().filter(|it| it["by"] == "google").count();
    assert_eq!(by, 1);
    // Nobody knows a password of hers.
    let guess = json!({ "username": "Dana@gmail.example", "password": "Dana@gmail.example" });
    refused(&app.call(Method::POST, "/api/auth/login", Some(&guess), &[]).await, 401, "unauthorized");
}

#[tokio::test]
async fn two_first_sign_ins_at_once_make_one_account() {
    let app = TestApp::start().await;
    let token = minted(&app, "google", &dana()).await;
    let body = json!({ "provider": "google", "idToken": token["idToken"] });
    let answers = futures::future::join_all((0..4).map(|_| sign_in(&app, &body))).await;
    let users: Vec<Value> = answers.into_iter().map(|it| it.ok()["user"]["id"].clone()).collect();
    assert!(users.iter().all(|id| *id == users[0]), "{users:?}");
}

#[tokio::test]
async fn an_account_with_the_address_is_not_taken_over_but_linked_by_its_owner() {
    let app = TestApp::start().await;
    let ana: SignedIn = app.account("ana").await;
    let hers = json!({ "sub": "2001", "email": "ANA@example.com", "name": "Ana" });
    let answer = google(&app, &hers).await;
    refused(&answer, 409, "account_exists");
    assert!(answer.header("set-cookie").is_none());
    let token = minted(&app, "google", &hers).await;
    let body = json!({ "provider": "google", "idToken": token["idToken"] });
    // Not by another site's page, and not by an API client.
    let foreign = [("origin", "https://evil.example")];
    let forced = ana.call_with(Method::POST, "/api/auth/social", Some(&body), &foreign).await;
    refused(&forced, 403, "cross_origin");
    let client = super::api_access::client(&app, &ana, &Value::Null).await;
    refused(&client.post("/api/auth/social", &body).await, 403, "forbidden");
    refused(&google(&app, &hers).await, 409, "account_exists");

    for _ in 0..2 {
        let linked = ana.post("/api/auth/social", &body).await;
        assert!(linked.header("set-cookie").is_none());
        assert_eq!(linked.ok()["user"]["id"], json!(ana.id));
    }
    assert_eq!(google(&app, &hers).await.ok()["user"]["id"], json!(ana.id));
    assert_eq!(entries(&app, "social.linked").await, [json!({ "provider": "google", "subject": "2001" })]);
    let bob = app.account("bob").await;
    refused(&bob.post("/api/auth/social", &body).await, 409, "social_taken");
    assert_eq!(google(&app, &hers).await.ok()["user"]["id"], json!(ana.id));
}

#[tokio::test]
async fn googles_word_is_checked() {
    let app = TestApp::start().await;
    for (what, wrong) in [
        ("another client's", json!({ "audience": "other.apps.googleusercontent.com" })),
        ("another issuer's", json!({ "issuer": "https://accounts.evil.example" })),
        ("an old one", json!({ "expiresIn": -61 })),
        ("a forged one", json!({ "unpublishedKey": true })),
    ] {
        let mut wanted = dana();
        wanted.as_object_mut().expect("members").extend(wrong.as_object().expect("members").clone());
        let answer = google(&app, &wanted).await;
        assert_eq!(answer.status.as_u16(), 401, "{what}: {}", answer.text);
    }
    let unverified = json!({ "sub": "3", "email": "a@gmail.example", "emailVerified": false });
    refused(&google(&app, &unverified).await, 403, "forbidden");
    refused(&google(&app, &json!({ "sub": "4" })).await, 403, "forbidden");
    let token = minted(&app, "google", &dana()).await["idToken"].as_str().expect("a token").to_owned();
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT") };
    let facebooks = minted(&app, "facebook", &dana()).await["idToken"].as_str().expect("a token").to_owned();
    for bad in ["", "x", "a.b.c", &format!("{head}.{claims}."), &format!("{head}.{signature}.{claims}"), &facebooks] {
        refused(&sign_in(&app, &json!({ "provider": "google", "idToken": bad })).await, 401, "unauthorized");
    }
    for wrong in [
        json!({ "provider": "google" }),
        json!({ "provider": "google", "idToken": token, "accessToken": "x" }),
        json!({ "provider": "myspace", "idToken": token }),
        json!({ "provider": "google", "idToken": token, "email": "me@example.com" }),
    ] {
        refused(&sign_in(&app, &wrong).await, 400, "invalid_request");
    }
    refused(&sign_in(&app, &json!({ "provider": "google", "accessToken": "x" })).await, 401, "unauthorized");
    let users: i64 =
        sqlx::query_scalar("select count(*) from users").fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(users, 1, "nobody joined");
}

#[tokio::test]
async fn facebooks_word_is_taken_in_both_its_kinds() {
    let app = TestApp::start().await;
    let wanted = json!({ "sub": "10201", "email": "f@example.com", "name": "Fay" });
    let tokens = minted(&app, "facebook", &wanted).await;
    let user = sign_in(&app, &json!({ "provider": "facebook", "accessToken": tokens["accessToken"] })).await.ok();
    assert_eq!((&user["user"]["email"], &user["user"]["displayName"]), (&json!("f@example.com"), &json!("Fay")));
    let limited = sign_in(&app, &json!({ "provider": "facebook", "idToken": tokens["idToken"] })).await.ok();
    assert_eq!(limited["user"]["id"], user["user"]["id"]);
    // The same number at Google is somebody else.
    let other = google(&app, &json!({ "sub": "10201", "email": "g@example.com" })).await.ok();
    assert_ne!(other["user"]["id"], user["user"]["id"]);
    for wrong in [json!({ "audience": "666" }), json!({ "expiresIn": -100 })] {
        let mut wanted = wanted.clone();
        wanted.as_object_mut().expect("members").extend(wrong.as_object().expect("members").clone());
        let tokens = minted(&app, "facebook", &wanted).await;
        for (name, kind) in [("accessToken", "accessToken"), ("idToken", "idToken")] {
            let answer = sign_in(&app, &json!({ "provider": "facebook", name: tokens[kind] })).await;
            refused(&answer, 401, "unauthorized");
        }
    }
    for bad in ["EAAnone", "", "a b", &"x".repeat(4_096)] {
        refused(&sign_in(&app, &json!({ "provider": "facebook", "accessToken": bad })).await, 401, "unauthorized");
    }
    refused(&sign_in(&app, &json!({ "provider": "facebook", "idToken": "a.b.c" })).await, 401, "unauthorized");
}

#[tokio::test]
async fn what_is_not_set_up_or_does_not_answer_says_so() {
    let app = TestApp::start().await;
    let token = minted(&app, "google", &dana()).await;
    let body = json!({ "provider": "google", "idToken": token["idToken"] });
    let off = Options { google_url: Some("http://127.0.0.1:1".to_owned()), ..Options::default() };
    let app = TestApp::on(app.stop().await, off, RateLimits::lifted()).await;
    let answer = sign_in(&app, &body).await;
    refused(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    let real = Options { sandbox: Some("0".to_owned()), ..Options::default() };
    let app = TestApp::on(app.stop().await, real, RateLimits::lifted()).await;
    for provider in ["google", "facebook"] {
        let answer = sign_in(&app, &json!({ "provider": provider, "idToken": "x" })).await;
        refused(&answer, 409, "provider_not_configured");
    }
}

#[tokio::test]
async fn it_counts_as_a_sign_in() {
    let app = TestApp::start_with(Options::default(), RateLimits::standard()).await;
    let body = json!({ "provider": "google", "idToken": "x" });
    for _ in 0..10 {
        refused(&sign_in(&app, &body).await, 401, "unauthorized");
    }
    refused(&sign_in(&app, &body).await, 429, "rate_limited");
}
