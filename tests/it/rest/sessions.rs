//! Sessions: how long they last, what ends them and where, whose pages may use them.

use std::time::{Duration, Instant};

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::app::{Answer, SignedIn, TestApp, eventually};

use super::refused;

const AGENT: &str = "Firefox/145.0";

/// Another node on the same database.
async fn beside(app: &TestApp) -> TestApp {
    let options = Options { data_dir: Some(format!("{}-b", app.database.data_dir())), ..Options::default() };
    TestApp::on(app.database.again(), options, RateLimits::lifted()).await
}

/// The cookie of a fresh sign-in, sent with these headers.
async fn log_in(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "username": "dana", "password": "correct horse" });
    app.call(Method::POST, "/api/auth/login", Some(&body), headers).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").and_then(|text| text.split(';').next()).expect("a cookie").to_owned()
}

async fn me(app: &TestApp, cookie: &str) -> Answer {
    app.call(Method::GET, "/api/auth/me", None, &[("cookie", cookie)]).await
}

async fn by(app: &TestApp, cookie: &str, method: Method, path: &str) -> Answer {
    app.call(method, path, None, &[("cookie", cookie)]).await
}

async fn sessions(app: &TestApp, cookie: &str) -> Vec<Value> {
    by(app, cookie, Method::GET, "/api/auth/sessions").await.ok().as_array().cloned().expect("a list")
}

/// Time passes for every session: it was opened and used that much earlier.
async fn pass(pool: &PgPool, minutes: i32) {
    let earlier = "update sessions set created_at = created_at - make_interval(mins => $1),
        last_used_at = last_used_at - make_interval(mins => $1), expires_at = expires_at - make_interval(mins => $1)";
    sqlx::query(earlier).bind(minutes).execute(pool).await.expect("an update");
}

async fn actions(pool: &PgPool, like: &str) -> Vec<(String, String)> {
    sqlx::query_as("select action, actor from audit_entries where action like $1 order by id")
        .bind(like)
        .fetch_all(pool)
        .await
        .expect("entries")
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().expect("a time").parse().expect("a time")
}

#[tokio::test]
async fn one_sees_where_one_is_signed_in_and_ends_it() {
    let app = TestApp::start().await;
    let (dana, other) = (app.account("dana").await, app.account("other").await);
    let here = cookie(&log_in(&app, &[("user-agent", AGENT)]).await);
    let there = cookie(&log_in(&app, &[]).await);
    let list = sessions(&app, &here).await;
    assert_eq!(list.len(), 3, "{list:?}");
    let (mine, newest) = (&list[1], &list[0]);
    assert_eq!((&mine["current"], &mine["userAgent"], &mine["kind"]), (&json!(true), &json!(AGENT), &json!("session")));
    assert_eq!((&mine["address"], &newest["current"]), (&json!("127.0.0.1"), &json!(false)), "{mine}");
    assert_eq!(time(&mine["expiresAt"]) - time(&mine["lastUsedAt"]), TimeDelta::hours(12));
    let page = by(&app, &here, Method::GET, "/api/auth/sessions?limit=2").await;
    let next = page.header("x-next-cursor").expect("a second page").to_owned();
    let rest = by(&app, &here, Method::GET, &format!("/api/auth/sessions?limit=2&cursor={next}")).await;
    assert_eq!((page.ok()[1].clone(), rest.header("x-next-cursor")), (mine.clone(), None));
    assert_eq!(rest.ok(), json!([list[2]]));

    let path = format!("/api/auth/sessions/{}", newest["id"].as_str().expect("an id"));
    refused(&other.delete(&path).await, 404, "not_found");
    refused(&by(&app, &here, Method::DELETE, "/api/auth/sessions/7").await, 404, "not_found");
    by(&app, &here, Method::DELETE, &path).await.ok();
    refused(&by(&app, &here, Method::DELETE, &path).await, 404, "not_found");
    refused(&me(&app, &there).await, 401, "unauthorized");
    dana.get("/api/auth/me").await.ok();

    by(&app, &here, Method::DELETE, "/api/auth/sessions").await.ok();
    refused(&dana.get("/api/auth/me").await, 401, "unauthorized");
    assert_eq!(sessions(&app, &here).await.len(), 1);
    other.get("/api/auth/me").await.ok();
    let told: Vec<String> = actions(&app.database.pool, "session%revoked").await.into_iter().map(|it| it.0).collect();
    assert_eq!(told, ["session.revoked", "sessions.revoked"]);
}

#[tokio::test]
async fn an_api_client_sees_no_sessions_and_ends_none() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let client = super::api_access::client(&app, &dana, &Value::Null).await;
    refused(&client.get("/api/auth/sessions").await, 403, "forbidden");
    refused(&client.delete("/api/auth/sessions").await, 403, "forbidden");
    let list = dana.get("/api/auth/sessions").await.ok();
    let token = list.as_array().and_then(|all| all.iter().find(|it| it["kind"] == "api")).expect("the token").clone();
    dana.delete(&format!("/api/auth/sessions/{}", token["id"].as_str().expect("an id"))).await.ok();
    refused(&client.get("/api/auth/me").await, 401, "unauthorized");
}

#[tokio::test]
async fn what_is_revoked_on_one_node_is_refused_on_the_other_within_five_seconds() {
    let app = TestApp::start().await;
    let beside = beside(&app).await;
    let dana = app.account("dana").await;
    let (here, there) = (cookie(&log_in(&app, &[]).await), cookie(&log_in(&beside, &[]).await));
    for session in [&here, &there] {
        me(&app, session).await.ok();
        me(&beside, session).await.ok();
    }
    let began = Instant::now();
    by(&app, &here, Method::DELETE, "/api/auth/sessions").await.ok();
    refused(&me(&app, &there).await, 401, "unauthorized");
    eventually("the other node to refuse it", async || (me(&beside, &there).await.status == 401).then_some(())).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    me(&beside, &here).await.ok();
    drop(dana);
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_is_written_once_in_five_minutes() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let first = cookie(&log_in(&app, &[]).await);
    assert!(me(&app, &first).await.header("set-cookie").is_none(), "it was used just now");
    pass(&app.database.pool, 11 * 60).await;
    let app = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    let used = me(&app, &first).await;
    let set = used.header("set-cookie").expect("the cookie, anew").to_owned();
    assert!(set.contains("Max-Age=43200; HttpOnly; SameSite=Lax"), "{set}");
    let second = cookie(&used);
    assert_ne!(first, second);
    assert!(me(&app, &second).await.header("set-cookie").is_none(), "once in five minutes");
    let row = &sessions(&app, &second).await[0];
    assert_eq!(time(&row["expiresAt"]) - time(&row["lastUsedAt"]), TimeDelta::hours(12));
    assert!(time(&row["lastUsedAt"]) - time(&row["createdAt"]) >= TimeDelta::hours(11));

    // Not used for longer, it is over, whatever the cookie says.
    pass(&app.database.pool, 12 * 60 + 1).await;
    let app = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    refused(&me(&app, &second).await, 401, "unauthorized");
}

#[tokio::test]
async fn no_session_outlives_thirty_days() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let session = cookie(&log_in(&app, &[]).await);
    let long_used = "update sessions set created_at = now() - interval '29 days 20 hours',
                     last_used_at = now() - interval '1 hour', expires_at = now() + interval '1 hour'";
    sqlx::query(long_used).execute(&app.database.pool).await.expect("an update");
    let app = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    let used = me(&app, &session).await;
    let set = used.header("set-cookie").expect("the cookie, anew");
    let left: i64 = set.split("Max-Age=").nth(1).and_then(|it| it.split(';').next()?.parse().ok()).expect("a time");
    assert!((14_000..=14_400).contains(&left), "4 hours are left, not {left} s");
}

#[tokio::test]
async fn the_use_of_an_api_token_is_noted_and_makes_it_no_longer() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let client = super::api_access::client(&app, &dana, &Value::Null).await;
    let earlier =
        "update sessions set last_used_at = now() - interval '20 minutes' where kind = 'api' returning expires_at";
    let ends: DateTime<Utc> = sqlx::query_scalar(earlier).fetch_one(&app.database.pool).await.expect("a session");
    eventually("the use to be written down", async || {
        let answer = client.get("/api/auth/me").await;
        assert!(answer.status.is_success() && answer.header("set-cookie").is_none());
        let recent =
            "select expires_at from sessions where kind = 'api' and last_used_at > now() - interval '5 minutes'";
        let noted: Option<DateTime<Utc>> =
            sqlx::query_scalar(recent).fetch_optional(&app.database.pool).await.expect("a row");
        noted.inspect(|expires_at| assert_eq!(*expires_at, ends))
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions_and_an_administrators_ends_all() {
    let app = TestApp::start().await;
    let dana: SignedIn = app.account("dana").await;
    let client = super::api_access::client(&app, &dana, &Value::Null).await;
    let (here, there) = (cookie(&log_in(&app, &[]).await), cookie(&log_in(&app, &[]).await));
    let path = format!("/api/users/{}", dana.id);
    let change = json!({ "password": "battery staple" });
    app.call(Method::PUT, &path, Some(&change), &[("cookie", &here)]).await.ok();
    me(&app, &here).await.ok();
    refused(&me(&app, &there).await, 401, "unauthorized");
    refused(&dana.get("/api/auth/me").await, 401, "unauthorized");
    refused(&client.get("/api/auth/me").await, 401, "unauthorized");
    refused(&log_in(&app, &[]).await, 401, "unauthorized");
    app.admin().await.put(&path, &json!({ "password": "correct horse" })).await.ok();
    refused(&me(&app, &here).await, 401, "unauthorized");
    log_in(&app, &[]).await.ok();
}

#[tokio::test]
async fn the_cookie_is_for_https_but_on_this_very_machine() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let set = |answer: &Answer| answer.header("set-cookie").expect("a cookie").to_owned();
    let here = set(&log_in(&app, &[]).await);
    assert!(here.contains("; HttpOnly; SameSite=Lax") && !here.contains("Secure"), "{here}");
    for headers in [&[("host", "flow.example")][..], &[("host", "192.168.1.5:8080")], &[("x-forwarded-proto", "https")]]
    {
        let elsewhere = set(&log_in(&app, headers).await);
        assert!(elsewhere.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{headers:?}: {elsewhere}");
    }
    let options = Options { public_url: Some("https://flow.example".to_owned()), ..Options::default() };
    let app = TestApp::on(app.stop().await, options, RateLimits::lifted()).await;
    assert!(set(&log_in(&app, &[]).await).ends_with("; Secure"));
}

#[tokio::test]
async fn another_sites_page_changes_nothing_and_signs_nobody_in() {
    let options = Options { public_url: Some("https://flow.example".to_owned()), ..Options::default() };
    let app = TestApp::start_with(options, RateLimits::lifted()).await;
    app.account("dana").await;
    let session = cookie(&log_in(&app, &[]).await);
    let social = json!({ "provider": "google", "idToken": "x" });
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://flow.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://flow.example")],
    ] {
        let mut headers = foreign.to_vec();
        refused(&log_in(&app, foreign).await, 403, "cross_origin");
        let answer = app.call(Method::POST, "/api/auth/social", Some(&social), foreign).await;
        refused(&answer, 403, "cross_origin");
        headers.push(("cookie", session.as_str()));
        for (method, path) in [(Method::POST, "/api/auth/logout"), (Method::DELETE, "/api/auth/sessions")] {
            refused(&app.call(method, path, None, &headers).await, 403, "cross_origin");
        }
        app.call(Method::GET, "/api/auth/me", None, &headers).await.ok();
    }
    let ours = [("origin", "https://flow.example"), ("sec-fetch-site", "same-origin"), ("cookie", session.as_str())];
    app.call(Method::POST, "/api/auth/logout", None, &ours).await.ok();
}

/// Runs a sign-in that finds what `change` does half done; its answer, given once that is committed.
pub async fn meanwhile(app: &TestApp, change: &str, sign_in: impl Future<Output = Answer>) -> Answer {
    let pool = &app.database.pool;
    let mut tx = pool.begin().await.expect("a transaction");
    sqlx::query(change).execute(&mut *tx).await.expect("a change");
    let commit = async {
        let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        eventually("the sign-in to wait", async || {
            sqlx::query_scalar::<_, bool>(waiting).fetch_one(pool).await.expect("a look").then_some(())
        })
        .await;
        tx.commit().await.expect("a commit");
    };
    tokio::join!(sign_in, commit).0
}

#[tokio::test]
async fn a_password_that_is_changed_while_somebody_signs_in_with_it_opens_nothing() {
    let app = TestApp::start().await;
    app.account("dana").await;
    let change = "update users set password_hash = password_hash || 'x' where username = 'dana'";
    refused(&meanwhile(&app, change, log_in(&app, &[])).await, 401, "unauthorized");
    let restore = "update users set password_hash = rtrim(password_hash, 'x') where username = 'dana'";
    sqlx::query(restore).execute(&app.database.pool).await.expect("an update");
    let gone = "update users set active = false where username = 'dana'";
    refused(&meanwhile(&app, gone, log_in(&app, &[])).await, 401, "unauthorized");
}
