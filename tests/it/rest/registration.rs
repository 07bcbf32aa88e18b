//! An account of one's own: registered, verified by mail, by phone; what an unverified one may do, and what a stranger
//! learns about addresses.

mod phones;
mod trouble;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::TestApp;

use super::refused;

/// What audit entries tell of a person, in their order.
pub async fn told(app: &TestApp, user: &str) -> Vec<String> {
    let sql = "select action from audit_entries where subject = $1 order by id";
    sqlx::query_scalar(sql).bind(user).fetch_all(&app.database.pool).await.expect("entries")
}

/// Does something to the database: time passes, for one.
pub async fn meanwhile(app: &TestApp, sql: &str) {
    sqlx::raw_sql(sql).execute(&app.database.pool).await.expect("a statement");
}

/// Everybody may ask for a code again.
pub async fn a_minute_passes(app: &TestApp) {
    meanwhile(app, "update verification_asks set asked_at = asked_at - interval '61 seconds'").await;
}

/// A code that is not this one.
pub fn other_than(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().expect("digits") + 1) % 1_000_000)
}

#[tokio::test]
async fn who_registers_verifies_and_goes_to_work() {
    let app = TestApp::start().await;
    let made = app.registers("dana", "Dana@Example.com").await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    assert!(made.headers.get("set-cookie").is_none());
    let user = made.ok()["user"].clone();
    let shown = ["username", "email", "emailVerified", "phone", "phoneVerified", "role", "language", "theme"];
    let expected = ["dana", "dana@example.com", "false", "null", "false", "user", "null", "system"];
    for (name, value) in shown.into_iter().zip(expected) {
        assert_eq!(user[name].as_str().map_or(user[name].to_string(), str::to_owned), value, "{user}");
    }
    let dana = app.sign_in("dana", "correct horse").await;
    // Nothing may be done yet, whatever it will be.
    let mut not_yet = user.clone();
    not_yet["permissions"] = json!([]);
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"], not_yet);
    for (method, path, body) in [
        (Method::GET, "/api/flows", None),
        (Method::POST, "/api/flows", Some(json!({ "name": "Early" }))),
        (Method::POST, "/api/settings/api-access", None),
        (Method::POST, "/api/auth/theme", Some(json!({ "theme": "dark" }))),
        (Method::PUT, &format!("/api/users/{}", dana.id), Some(json!({ "email": "other@example.com" }))),
    ] {
        refused(&dana.call(method, path, body.as_ref()).await, 403, "email_unverified");
    }

    let mail = app.mail("dana@example.com", 1).await;
    assert_eq!(mail["subject"], "Your FlowBot code");
    let code = app.code_mailed("dana@example.com", 1).await;
    let kept = "select row_to_json(c)::text from verification_codes c";
    let kept: String = sqlx::query_scalar(kept).fetch_one(&app.database.pool).await.expect("a code");
    assert!(!kept.contains(&code), "{kept}");
    assert_eq!(app.verifies("email", "DANA@example.com", &code).await.ok(), json!({ "success": true }));
    assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["emailVerified"], true);
    dana.has_flow("First", &tests::flows::echo()).await;
    refused(&app.verifies("email", "dana@example.com", &code).await, 400, "code_invalid");
    assert_eq!(told(&app, &dana.id).await, ["user.registered", "email.verified"]);
    // What is there already is sent no code.
    app.asks("email", "dana@example.com").await;
    a_minute_passes(&app).await;
    assert_eq!(app.asks("email", "dana@example.com").await.status.as_u16(), 202);
    let waiting = "select count(*) from verification_codes";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(waiting, 0);
}

#[tokio::test]
async fn an_address_somebody_has_looks_as_free_as_any_other() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let (taken, free) =
        (app.registers("eve", "Dana@example.com").await, app.registers("eva", "nobody@example.com").await);
    let shape = |answer: &tests::app::Answer| {
        let mut user = answer.body["user"].clone();
        for own in ["id", "accountId", "username", "displayName", "email", "createdAt"] {
            assert!(user[own].is_string(), "{}", answer.text);
            user[own] = Value::Null;
        }
        (answer.status, user)
    };
    assert_eq!(shape(&taken), shape(&free));
    // The owner of the mailbox alone learns it, without a code.
    let notice = app.mail("dana@example.com", 1).await;
    let text = notice["text"].as_str().expect("a text");
    assert!(text.contains("your username is dana") && tests::mail::code_in(text).is_none(), "{text}");
    app.code_mailed("nobody@example.com", 1).await;
    for name in ["eve", "eva"] {
        let signed_in = app.sign_in(name, "correct horse").await;
        refused(&signed_in.get("/api/flows").await, 403, "email_unverified");
    }
    refused(&app.registers("eve", "third@example.com").await, 409, "username_taken");
    refused(&app.registers("DANA", "third@example.com").await, 409, "username_taken");

    a_minute_passes(&app).await;
    let asked = [
        app.asks("email", "dana@example.com").await,
        app.asks("email", "nobody@example.com").await,
        app.asks("email", "unheard-of@example.com").await,
    ];
    for answer in &asked {
        assert_eq!((answer.status.as_u16(), &answer.body), (202, &asked[0].body), "{}", answer.text);
    }
    app.code_mailed("nobody@example.com", 2).await;
    assert!(app.mails("unheard-of@example.com").await.is_empty());
    assert_eq!(app.mails("dana@example.com").await.len(), 1);
    let shown = [
        app.verifies("email", "dana@example.com", "000000").await,
        app.verifies("email", "unheard-of@example.com", "000000").await,
        app.verifies("email", "nobody@example.com", "no code").await,
    ];
    for answer in &shown {
        refused(answer, 400, "code_invalid");
        assert_eq!(answer.body, shown[0].body);
    }
}

#[tokio::test]
async fn two_with_one_address_the_first_to_prove_it_has_it() {
    let app = TestApp::start().await;
    app.registers("dana", "dana@example.com").await.ok();
    let first = app.code_mailed("dana@example.com", 1).await;
    a_minute_passes(&app).await;
    app.registers("mallory", "dana@example.com").await.ok();
    let second = app.code_mailed("dana@example.com", 2).await;
    // Each code is of one account, and who is signed in shows their own.
    let (dana, mallory) = (app.sign_in("dana", "correct horse").await, app.sign_in("mallory", "correct horse").await);
    let show = |code: &str| json!({ "channel": "email", "address": "dana@example.com", "code": code });
    refused(&dana.post("/api/auth/verify-code", &show(&second)).await, 400, "code_invalid");
    app.verifies("email", "dana@example.com", &first).await.ok();
    dana.get("/api/flows").await.ok();
    refused(&app.verifies("email", "dana@example.com", &second).await, 400, "code_invalid");
    a_minute_passes(&app).await;
    mallory
        .post("/api/auth/send-verification", &json!({ "channel": "email", "address": "dana@example.com" }))
        .await
        .ok();
    refused(&mallory.get("/api/flows").await, 403, "email_unverified");
    let waiting: i64 = sqlx::query_scalar("select count(*) from verification_codes")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(waiting, 0);
}

#[tokio::test]
async fn a_new_address_of_ones_own_is_unproven_and_an_administrators_word_counts() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let path = format!("/api/users/{}", dana.id);
    assert_eq!(dana.get(&path).await.ok()["emailVerified"], true);
    let changed = dana.put(&path, &json!({ "email": "new@example.com" })).await.ok();
    assert_eq!(changed["emailVerified"], false);
    dana.post("/api/flows", &json!({ "name": "Goes on" })).await.ok();
    dana.post("/api/auth/send-verification", &json!({ "channel": "email", "address": "new@example.com" })).await.ok();
    let code = app.code_mailed("new@example.com", 1).await;
    app.verifies("email", "new@example.com", &code).await.ok();
    assert_eq!(dana.get(&path).await.ok()["emailVerified"], true);
    let by_admin = app.admin().await.put(&path, &json!({ "email": "newer@example.com" })).await.ok();
    assert_eq!(by_admin["emailVerified"], true);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_named() {
    let app = TestApp::start().await;
    let register = async |change: Value| {
        let mut body = json!({ "username": "dana", "password": "correct horse", "email": "dana@example.com" });
        for (name, value) in change.as_object().expect("members") {
            body[name] = value.clone();
        }
        app.call(Method::POST, "/api/auth/register", Some(&body), &[]).await
    };
    for change in [
        json!({ "username": "d" }),
        json!({ "password": "short" }),
        json!({ "email": "dana" }),
        json!({ "email": "dana@example.com, eve@example.com" }),
        json!({ "email": "dana@example.com\r\nBcc: eve@example.com" }),
        json!({ "language": "tlh" }),
        json!({ "role": "admin" }),
        json!({ "emailVerified": true }),
    ] {
        refused(&register(change.clone()).await, 400, "invalid_request");
    }
    refused(&register(json!({ "phone": "050" })).await, 400, "phone_invalid");
    let people: i64 =
        sqlx::query_scalar("select count(*) from users").fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(people, 1, "the administrator alone");
    let full = json!({ "displayName": "Dana Levi", "phone": "+972 50-123-4567", "language": "ru" });
    let user = register(full).await.ok()["user"].clone();
    assert_eq!(
        (&user["displayName"], &user["phone"], &user["language"]),
        (&json!("Dana Levi"), &json!("+972501234567"), &json!("ru"))
    );
    assert_eq!(app.mail("dana@example.com", 1).await["subject"], "Ваш код FlowBot");
}
