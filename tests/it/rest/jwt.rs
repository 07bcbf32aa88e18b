//! Tokens over HTTP: everything that can be wrong with one is answered with the same 401; and the keys they are signed with.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Utc;
use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};
use tests::app::{Answer, SignedIn, TestApp};
use uuid::Uuid;

use super::refused;

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hmac_512(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The key that signs tokens, derived as the product does it: whoever holds the master key can do this.
fn key(generation: i64) -> Vec<u8> {
    let master = STANDARD.decode(tests::SECRET_KEY).expect("base64");
    hmac(&master, format!("flowbot/jwt/v2/{generation}").as_bytes())
}

fn text(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signed with a genuine key, whatever it says.
fn signed(head: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", text(head), text(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac(&key(1), message.as_bytes())))
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

async fn me(app: &TestApp, token: &str) -> Answer {
    let header = format!("Bearer {token}");
    app.call(Method::GET, "/api/auth/me", None, &[("authorization", &header)]).await
}

/// The token in the cookie of a fresh sign-in.
async fn token(app: &TestApp) -> String {
    let body = json!({ "username": "admin", "password": "admin-password" });
    let answer = app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await;
    let cookie = answer.header("set-cookie").expect("a cookie");
    let token = cookie.trim_start_matches("wdf_token=").split(';').next().expect("a token");
    token.to_owned()
}

#[tokio::test]
async fn our_tokens_say_what_they_must() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let token = token(&app).await;
    let (head, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!((&head["alg"], &head["typ"]), (&json!("HS256"), &json!("JWT")), "{head}");
    assert!(head["kid"].as_str().is_some_and(|kid| kid.len() == 16), "{head}");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("flowbot"), &json!("session")));
    assert_eq!((&claims["sub"], &claims["tid"]), (&json!(admin.id), &json!(admin.id)));
    for name in ["sid", "jti", "iat", "nbf", "exp"] {
        assert!(!claims[name].is_null(), "{name}: {claims}");
    }
    assert_ne!(claims["sid"], claims["jti"]);
    me(&app, &token).await.ok();
    me(&app, &signed(&head, &claims)).await.ok();
}

/// What is wrong, and the token it is wrong with.
type Bad = (String, String);

fn with(value: &Value, name: &str, other: Value) -> Value {
    let mut changed = value.clone();
    changed[name] = other;
    changed
}

fn without(value: &Value, name: &str) -> Value {
    let mut changed = value.clone();
    changed.as_object_mut().expect("members").remove(name);
    changed
}

fn wrong_heads(head: &Value, claims: &Value) -> Vec<Bad> {
    let wrong = [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS384")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("EdDSA")),
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("kid", json!("")),
        ("kid", json!("unknown")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("/etc/passwd")),
        ("kid", json!("' union select 'AA' --")),
        ("kid", json!("x'; drop table sessions; --")),
        ("kid", json!(["a"])),
        ("kid", Value::Null),
        ("jwk", json!({ "kty": "oct", "k": "AA" })),
        ("jku", json!("http://evil.example/keys.json")),
        ("crit", json!(["b64"])),
    ];
    let wrong = wrong.into_iter().map(|(name, value)| (format!("{name} {value}"), with(head, name, value)));
    let lacking = ["alg", "typ", "kid"].into_iter().map(|name| (format!("without {name}"), without(head, name)));
    wrong.chain(lacking).map(|(what, head)| (what, signed(&head, claims))).collect()
}

fn wrong_claims(head: &Value, claims: &Value) -> Vec<Bad> {
    let now = Utc::now().timestamp();
    let wrong = [
        ("exp", json!(now - 31)),
        ("exp", json!("never")),
        ("nbf", json!(now + 3_600)),
        ("iat", json!(now + 3_600)),
        ("aud", json!("api")),
        ("aud", json!("other")),
        ("aud", json!(["session", "api"])),
        ("iss", json!("other")),
        ("sub", json!(Uuid::new_v4())),
        ("tid", json!(Uuid::new_v4())),
        ("sid", json!(Uuid::new_v4())),
        ("sid", json!("' or 1=1 --")),
        ("role", json!("admin")),
    ];
    let all = ["iss", "aud", "sub", "tid", "sid", "jti", "iat", "nbf", "exp"];
    let wrong = wrong.into_iter().map(|(name, value)| (format!("{name} {value}"), with(claims, name, value)));
    let lacking = all.into_iter().map(|name| (format!("without {name}"), without(claims, name)));
    wrong.chain(lacking).map(|(what, claims)| (what, signed(head, &claims))).collect()
}

/// Taken apart, put together otherwise, signed otherwise.
fn mangled(genuine: &str) -> Vec<Bad> {
    let head = part(genuine, 0);
    let [first, second, third] = genuine.split('.').collect::<Vec<_>>()[..] else { panic!("no JWT: {genuine}") };
    let unsigned = text(&with(&head, "alg", json!("none")));
    let by_512 = format!("{}.{second}", text(&with(&head, "alg", json!("HS512"))));
    let really_512 = format!("{by_512}.{}", URL_SAFE_NO_PAD.encode(hmac_512(&key(1), by_512.as_bytes())));
    let by_other = hmac(&key(1_000), format!("{first}.{second}").as_bytes());
    let mut bad = vec![
        ("no signature", format!("{first}.{second}.")),
        ("two parts", format!("{first}.{second}")),
        ("four parts", format!("{genuine}.{third}")),
        ("alg none, unsigned", format!("{unsigned}.{second}.")),
        ("really HS512", really_512),
        ("another key", format!("{first}.{second}.{}", URL_SAFE_NO_PAD.encode(by_other))),
        ("garbage", "a.b.c".to_owned()),
        ("long", format!("{first}.{}.{third}", "A".repeat(6_000))),
    ];
    for (what, place) in [("head", 3), ("claims", first.len() + 7), ("signature", genuine.len() - 9)] {
        let mut bytes = genuine.to_owned().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        bad.push((what, String::from_utf8(bytes).expect("ASCII")));
    }
    bad.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_is_401() {
    let app = TestApp::start().await;
    let genuine = token(&app).await;
    let (head, claims) = (part(&genuine, 0), part(&genuine, 1));
    let bad = [wrong_heads(&head, &claims), wrong_claims(&head, &claims), mangled(&genuine)].concat();
    let other = me(&app, "x").await;
    for (what, token) in bad {
        let answer = me(&app, &token).await;
        assert_eq!(answer.status.as_u16(), 401, "{what}: {}", answer.text);
        assert_eq!(answer.body, other.body, "{what}");
        let cookie = format!("wdf_token={token}");
        let answer = app.call(Method::GET, "/api/auth/me", None, &[("cookie", &cookie)]).await;
        refused(&answer, 401, "unauthorized");
    }
    me(&app, &genuine).await.ok();
    let left: i64 =
        sqlx::query_scalar("select count(*) from sessions").fetch_one(&app.database.pool).await.expect("a count");
    assert!(left > 0, "no table was dropped");
}

#[tokio::test]
async fn a_providers_token_is_none_of_ours() {
    let app = TestApp::start().await;
    let wanted = json!({ "sub": "117", "email": "g@example.com" });
    let minted = app.call(Method::POST, "/sandbox/google/tokens", Some(&wanted), &[]).await.ok();
    refused(&me(&app, minted["idToken"].as_str().expect("a token")).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_rotated_key_signs_and_the_one_before_is_good_for_what_it_signed() {
    let app = TestApp::start().await;
    let options = Options { data_dir: Some(format!("{}-b", app.database.data_dir())), ..Options::default() };
    let beside = TestApp::on(app.database.again(), options, RateLimits::lifted()).await;
    let admin: SignedIn = app.admin().await;
    let before = token(&app).await;
    let keys = admin.get("/api/admin/signing-keys").await.ok();
    assert_eq!((&keys[0]["generation"], &keys[0]["current"], keys.get(1)), (&json!(1), &json!(true), None), "{keys}");
    assert_eq!(keys[0]["kid"], part(&before, 0)["kid"]);
    refused(&app.account("dana").await.post("/api/admin/signing-keys", &Value::Null).await, 403, "forbidden");

    let keys = admin.post("/api/admin/signing-keys", &Value::Null).await.ok();
    assert_eq!((&keys[0]["generation"], &keys[1]["current"]), (&json!(2), &json!(false)), "{keys}");
    assert!(keys[1]["goodUntil"].is_string(), "{keys}");
    let after = token(&app).await;
    assert_eq!(part(&after, 0)["kid"], keys[0]["kid"]);
    assert_ne!(part(&after, 0)["kid"], part(&before, 0)["kid"]);
    // The node that does not know of it yet takes its tokens all the same.
    for node in [&app, &beside] {
        me(node, &before).await.ok();
        me(node, &after).await.ok();
    }
    let told: Value = sqlx::query_scalar("select details from audit_entries where action = 'signing_key.rotated'")
        .fetch_one(&app.database.pool)
        .await
        .expect("an entry");
    assert_eq!(told, json!({ "generation": 2 }));

    let long_ago = "update signing_keys set retired_at = now() - interval '26 hours' where generation = 1";
    sqlx::query(long_ago).execute(&app.database.pool).await.expect("an update");
    beside.stop().await;
    let fresh = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    refused(&me(&fresh, &before).await, 401, "unauthorized");
    me(&fresh, &after).await.ok();
}

#[tokio::test]
async fn sessions_go_on_under_a_new_master_key_while_the_former_is_given() {
    let app = TestApp::start().await;
    let before = token(&app).await;
    let new = STANDARD.encode([9; 32]);
    let moved = |former: Option<&str>| Options {
        secret_key: Some(new.clone().into()),
        former_secret_key: former.map(|key| key.to_owned().into()),
        ..Options::default()
    };
    let app = TestApp::on(app.stop().await, moved(Some(tests::SECRET_KEY)), RateLimits::lifted()).await;
    me(&app, &before).await.ok();
    assert_ne!(part(&token(&app).await, 0)["kid"], part(&before, 0)["kid"]);
    let app = TestApp::on(app.stop().await, moved(None), RateLimits::lifted()).await;
    refused(&me(&app, &before).await, 401, "unauthorized");
}
