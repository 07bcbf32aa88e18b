//! Codes that are guessed, old, asked for too often; mail servers that are away.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use infrastructure::sandbox::mail::MailSandbox;
use sqlx::Row;
use tests::app::{TestApp, eventually};
use tests::mail::code_in;

use super::{a_minute_passes, meanwhile, other_than, told};
use crate::rest::refused;

const DANA: &str = "dana@example.com";

#[tokio::test]
async fn a_code_survives_four_wrong_ones_and_not_five() {
    let app = TestApp::start().await;
    let user = app.registers("dana", DANA).await.ok()["user"].clone();
    let code = app.code_mailed(DANA, 1).await;
    let wrong = other_than(&code);
    let guesses = (0..20).map(|_| app.verifies("email", DANA, &wrong));
    for answer in futures::future::join_all(guesses).await {
        refused(&answer, 400, "code_invalid");
    }
    let tries: i16 = sqlx::query_scalar("select attempts from verification_codes")
        .fetch_one(&app.database.pool)
        .await
        .expect("a code");
    assert_eq!(tries, 5, "also when all come at once");
    refused(&app.verifies("email", DANA, &code).await, 400, "code_invalid");
    let told = told(&app, user["id"].as_str().expect("an id")).await;
    assert_eq!(told.iter().filter(|it| *it == "code.refused").count(), 5, "{told:?}");

    a_minute_passes(&app).await;
    app.asks("email", DANA).await.ok();
    let fresh = app.code_mailed(DANA, 2).await;
    for _ in 0..4 {
        refused(&app.verifies("email", DANA, &other_than(&fresh)).await, 400, "code_invalid");
    }
    app.verifies("email", DANA, &fresh).await.ok();
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_and_until_the_next_one() {
    let app = TestApp::start().await;
    app.registers("dana", DANA).await.ok();
    let old = app.code_mailed(DANA, 1).await;
    let left = "select extract(epoch from expires_at - now())::float8 from verification_codes";
    let left: f64 = sqlx::query_scalar(left).fetch_one(&app.database.pool).await.expect("a code");
    assert!((570.0..=600.0).contains(&left), "{left}");
    meanwhile(&app, "update verification_codes set expires_at = now() - interval '1 second'").await;
    refused(&app.verifies("email", DANA, &old).await, 400, "code_invalid");
    a_minute_passes(&app).await;
    app.asks("email", DANA).await.ok();
    let replaced = app.code_mailed(DANA, 2).await;
    a_minute_passes(&app).await;
    app.asks("email", DANA).await.ok();
    let newest = app.code_mailed(DANA, 3).await;
    if replaced != newest {
        refused(&app.verifies("email", DANA, &replaced).await, 400, "code_invalid");
    }
    app.verifies("email", DANA, &newest).await.ok();
}

#[tokio::test]
async fn one_code_a_minute_and_five_an_hour_whether_anybody_is_there_or_not() {
    let app = TestApp::start().await;
    app.registers("dana", DANA).await.ok();
    for address in [DANA, "unheard-of@example.com"] {
        if address != DANA {
            app.asks("email", address).await.ok();
        }
        let limited = app.asks("email", address).await;
        refused(&limited, 429, "rate_limited");
        let wait: u64 = limited.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
        assert!((1..=60).contains(&wait), "{wait}");
        for _ in 0..4 {
            a_minute_passes(&app).await;
            app.asks("email", address).await.ok();
        }
        a_minute_passes(&app).await;
        let limited = app.asks("email", address).await;
        refused(&limited, 429, "rate_limited");
        let wait: u64 = limited.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
        assert!(wait > 3_000, "{wait}");
    }
    refused(&app.registers("eve", DANA).await, 429, "rate_limited");
    meanwhile(&app, "update verification_asks set hour_began = hour_began - interval '1 hour'").await;
    app.registers("eve", DANA).await.ok();
}

#[tokio::test]
async fn the_eleventh_registration_from_one_place_has_to_wait() {
    let app = TestApp::start_with(Options::default(), RateLimits::standard()).await;
    for n in 0..10 {
        app.registers(&format!("dana{n}"), &format!("dana{n}@example.com")).await.ok();
    }
    refused(&app.registers("dana", DANA).await, 429, "rate_limited");
    for _ in 0..10 {
        refused(&app.verifies("email", DANA, "000000").await, 400, "code_invalid");
    }
    refused(&app.verifies("email", DANA, "000000").await, 429, "rate_limited");
}

#[tokio::test]
async fn a_mail_server_that_is_away_gets_the_mail_when_it_is_back() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let options = Options { smtp_url: Some(format!("smtp://{port}").into()), ..Options::default() };
    let app = TestApp::start_with(options, RateLimits::lifted()).await;
    app.registers("dana", DANA).await.ok();
    let job = async || {
        let sql = "select attempts, last_error, work::text as work from jobs where key like 'letter:%'";
        sqlx::query(sql).fetch_optional(&app.database.pool).await.expect("a query")
    };
    let waiting = eventually("a failed try", async || {
        job().await.filter(|row| row.get::<Option<String>, _>("last_error").is_some())
    })
    .await;
    let (error, work): (String, String) = (waiting.get("last_error"), waiting.get("work"));
    assert!(error.contains("could not be sent"), "{error}");
    assert!(work.contains("\"letter\"") && !work.contains("dana") && code_in(&work).is_none(), "sealed: {work}");

    let server = MailSandbox::start(port).await.expect("the server is back");
    meanwhile(&app, "update jobs set run_at = now()").await;
    let mail = eventually("the mail", async || server.mails(Some(DANA)).pop()).await;
    eventually("the job's end", async || job().await.is_none().then_some(())).await;
    app.verifies("email", DANA, &code_in(&mail.text).expect("six digits")).await.ok();
    assert_eq!(server.mails(None).len(), 1);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_not_tried_again() {
    let app = TestApp::start().await;
    app.registers("dana", "dana+550@example.com").await.ok();
    let error: String = eventually("a dead letter", async || {
        let sql = "select last_error from jobs where dead and attempts = 1";
        sqlx::query_scalar(sql).fetch_optional(&app.database.pool).await.expect("a query")
    })
    .await;
    assert!(error.contains("550"), "{error}");
}

#[tokio::test]
async fn without_a_mail_server_nobody_registers() {
    let options = Options { sandbox: Some("0".into()), ..Options::default() };
    let app = TestApp::start_with(options, RateLimits::lifted()).await;
    refused(&app.registers("dana", DANA).await, 503, "email_not_configured");
    refused(&app.asks("email", DANA).await, 503, "email_not_configured");
    let people: i64 =
        sqlx::query_scalar("select count(*) from users").fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(people, 1);
}

#[tokio::test]
async fn accounts_nobody_verified_lapse_after_a_week() {
    let app = TestApp::start().await;
    let user = app.registers("dana", DANA).await.ok()["user"].clone();
    app.account("old").await;
    meanwhile(&app, "update users set created_at = now() - interval '8 days'").await;
    infrastructure::retention::sweep(&app.database.pool).await.expect("a sweep");
    let left: Vec<String> = sqlx::query_scalar("select username from users order by username")
        .fetch_all(&app.database.pool)
        .await
        .expect("people");
    assert_eq!(left, ["admin", "old"]);
    assert_eq!(told(&app, user["id"].as_str().expect("an id")).await, ["user.registered", "user.lapsed"]);
    a_minute_passes(&app).await;
    app.registers("dana", DANA).await.ok();
}
