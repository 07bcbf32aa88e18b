//! Signing in with Google and Facebook, who are played over real HTTP.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp};

use super::refused;
use super::registration::meanwhile;

/// A token of a provider, as wanted.
async fn minted(app: &TestApp, provider: &str, wanted: &Value) -> Value {
    app.call(Method::POST, &format!("/sandbox/{provider}/tokens"), Some(wanted), &[]).await.ok()
}

async fn google(app: &TestApp, wanted: &Value) -> Answer {
    sign_in(app, &body_of(app, wanted).await).await
}

async fn body_of(app: &TestApp, wanted: &Value) -> Value {
    json!({ "provider": "google", "idToken": minted(app, "google", wanted).await["idToken"] })
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
async fn who_only_named_an_address_stands_not_in_its_owners_way() {
    let app = TestApp::start().await;
    // Three ways to name somebody else's address: to register with it, to change to it, to give it to an employee.
    let address = "dana@gmail.example";
    app.registers("mallory", address).await.ok();
    let code = app.code_mailed(address, 1).await;
    let (mallory, eve) = (app.sign_in("mallory", "correct horse").await, app.account("eve").await);
    let own = format!("/api/users/{}", eve.id);
    assert_eq!(eve.put(&own, &json!({ "email": address })).await.ok()["emailVerified"], false);
    let dummy = json!({ "username": "dummy", "password": "correct horse", "email": address, "displayName": "Dummy" });
    eve.post("/api/employees", &dummy).await.ok();
    let noa = app.employee(&eve, "noa", &[]).await;
    eve.put(&format!("/api/employees/{}", noa.id), &json!({ "email": address })).await.ok();
    // And a name that looks like it.
    app.registers(address, "mallory@example.com").await.ok();

    let first = google(&app, &dana()).await;
    let session = cookie(&first);
    let user = first.ok()["user"].clone();
    assert_eq!((&user["email"], &user["emailVerified"]), (&json!("Dana@gmail.example"), &json!(true)));
    assert_eq!(user["username"], json!(format!("google-{}", user["id"].as_str().expect("an id"))));
    let flows = app.call(Method::GET, "/api/flows", None, &[("cookie", &session)]).await;
    assert_eq!(flows.ok(), json!([]));
    assert_eq!(google(&app, &dana()).await.ok()["user"], user);

    // Nobody else proves it any more, not even with the code that came to its mailbox before.
    refused(&app.verifies("email", address, &code).await, 400, "code_invalid");
    meanwhile(&app, "update verification_asks set asked_at = asked_at - interval '61 seconds'").await;
    let again = json!({ "channel": "email", "address": address });
    for squatter in [&mallory, &eve, &noa] {
        squatter.post("/api/auth/send-verification", &again).await.ok();
        meanwhile(&app, "delete from verification_asks").await;
    }
    let codes: i64 = sqlx::query_scalar("select count(*) from verification_codes where address = $1")
        .bind(address)
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(codes, 0);
    // What they have is theirs: an account that never proved anything lapses, others go on.
    refused(&mallory.get("/api/flows").await, 403, "email_unverified");
    refused(
        &mallory.post("/api/auth/social", &body_of(&app, &json!({ "sub": "666" })).await).await,
        403,
        "email_unverified",
    );
    eve.get("/api/flows").await.ok();
    assert_eq!(eve.get(&own).await.ok()["emailVerified"], false);
    meanwhile(&app, "update users set created_at = created_at - interval '8 days' where must_verify").await;
    infrastructure::retention::sweep(&app.database.pool).await.expect("a sweep");
    let login = json!({ "username": "mallory", "password": "correct horse" });
    refused(&app.call(Method::POST, "/api/auth/login", Some(&login), &[]).await, 401, "unauthorized");
    assert_eq!(google(&app, &dana()).await.ok()["user"], user);
}

#[tokio::test]
async fn the_address_of_an_account_that_was_deleted_is_free_again() {
    let app = TestApp::start().await;
    let first = google(&app, &dana()).await.ok()["user"].clone();
    let path = format!("/api/users/{}", first["id"].as_str().expect("an id"));
    app.admin().await.delete(&path).await.ok();
    let second = google(&app, &dana()).await.ok()["user"].clone();
    assert_ne!(second["id"], first["id"]);
    app.admin().await.delete(&format!("/api/users/{}", second["id"].as_str().expect("an id"))).await.ok();
    // She registers anew, and proves it anew.
    app.registers("dana", "dana@gmail.example").await.ok();
    let code = app.code_mailed("dana@gmail.example", 1).await;
    app.verifies("email", "dana@gmail.example", &code).await.ok();
    app.sign_in("dana", "correct horse").await.get("/api/flows").await.ok();
    refused(&google(&app, &dana()).await, 409, "account_exists");
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
