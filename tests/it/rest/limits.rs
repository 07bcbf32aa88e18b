//! How often one may sign in: allowances that nodes share, and turns that attempts wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use domain::allowance::{Patience, Rate};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};
use tests::cable::Cable;
use tests::cluster::TestDatabase;

use super::refused;
use crate::kill::child::Child;

/// Attempts that fail go quick here, and their turns are a fraction of what they are.
const QUICK: Patience = Patience {
    free: 5,
    first: Duration::from_millis(40),
    longest: Duration::from_millis(400),
    quiet: Duration::from_secs(900),
};

/// Two nodes on one database that take the client's address from `X-Forwarded-For`.
async fn nodes(limits: RateLimits) -> [TestApp; 2] {
    let limits = RateLimits { behind_proxy: true, ..limits };
    let one = TestApp::start_with(Options::default(), limits).await;
    let other = TestApp::on(one.database.again(), Options::default(), limits).await;
    [one, other]
}

async fn log_in(app: &TestApp, from: &str, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    app.call(Method::POST, "/api/auth/login", Some(&body), &[("x-forwarded-for", from)]).await
}

fn seconds(answer: &Answer, header: &str) -> Option<u64> {
    answer.header(header).and_then(|text| text.parse().ok())
}

#[tokio::test]
async fn an_allowance_is_one_on_all_nodes_and_tells_how_it_stands() {
    let nodes = nodes(RateLimits { patience: None, ..RateLimits::standard() }).await;
    for n in 0..10 {
        let answer = log_in(&nodes[n % 2], "192.0.2.1", "admin", "wrong").await;
        refused(&answer, 401, "unauthorized");
        let told = ["ratelimit-limit", "ratelimit-remaining"].map(|field| seconds(&answer, field));
        assert_eq!(told, [Some(10), Some(9 - n as u64)]);
        assert!(seconds(&answer, "ratelimit-reset").is_some_and(|it| (890..=900).contains(&it)), "{answer:?}");
        assert_eq!(answer.header("retry-after"), None);
    }
    for node in &nodes {
        // Twice: the second time the node knows it.
        for _ in 0..2 {
            let answer = log_in(node, "192.0.2.1", "admin", "admin-password").await;
            refused(&answer, 429, "rate_limited");
            assert_eq!(seconds(&answer, "ratelimit-remaining"), Some(0));
            let (wait, reset) = (seconds(&answer, "retry-after"), seconds(&answer, "ratelimit-reset"));
            assert!(wait.is_some_and(|it| (880..=900).contains(&it)) && wait <= reset, "{answer:?}");
        }
        // However the path is written, it is the same operation.
        let body = json!({ "username": "admin", "password": "admin-password" });
        for path in ["/api/auth/login/", "/api/auth/l%6Fgin", "/api//auth/login", "/api/auth/login?x=1"] {
            let answer = node.call(Method::POST, path, Some(&body), &[("x-forwarded-for", "192.0.2.1")]).await;
            assert!([404, 429].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
        }
    }
    // Another address, and another operation, have their own; what is not limited says nothing.
    let admin = log_in(&nodes[0], "192.0.2.2", "admin", "admin-password").await;
    assert!(admin.status.is_success() && seconds(&admin, "ratelimit-remaining") == Some(9), "{admin:?}");
    let exchange = json!({ "clientId": "aiflow_x", "apiKey": "sk_x" });
    let from = [("x-forwarded-for", "192.0.2.1")];
    let answer = nodes[1].call(Method::POST, "/api/auth/api-token", Some(&exchange), &from).await;
    refused(&answer, 401, "unauthorized");
    assert_eq!(seconds(&answer, "ratelimit-remaining"), Some(9));
    let answer = nodes[0].call(Method::GET, "/api/auth/me", None, &from).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("ratelimit")), "{answer:?}");
}

#[tokio::test]
async fn whoever_has_one_address_of_a_network_has_them_all() {
    let [one, other] = nodes(RateLimits { sign_in: Some(Rate::new(2, 900)), ..RateLimits::lifted() }).await;
    refused(&log_in(&one, "2001:db8:0:1::1", "x-1", "wrong").await, 401, "unauthorized");
    refused(&log_in(&other, "2001:db8:0:1:ffff::2", "x-2", "wrong").await, 401, "unauthorized");
    refused(&log_in(&one, "2001:db8:0:1:1:2:3:4", "x-3", "wrong").await, 429, "rate_limited");
    refused(&log_in(&one, "2001:db8:0:2::1", "x-4", "wrong").await, 401, "unauthorized");
    refused(&log_in(&one, "::ffff:192.0.2.7", "x-5", "wrong").await, 401, "unauthorized");
    refused(&log_in(&one, "192.0.2.7", "x-6", "wrong").await, 401, "unauthorized");
    refused(&log_in(&one, "192.0.2.7", "x-7", "wrong").await, 429, "rate_limited");
}

#[tokio::test]
async fn what_was_taken_comes_back_when_its_time_is_over() {
    let [one, other] = nodes(RateLimits { sign_in: Some(Rate::new(3, 900)), ..RateLimits::lifted() }).await;
    for n in 0..3 {
        refused(&log_in(&one, "192.0.2.1", &format!("x-{n}"), "wrong").await, 401, "unauthorized");
    }
    // The first of them was long ago, the second will be in a minute.
    let passes =
        "update allowances set taken = array[taken[1] - interval '900 s', taken[2] - interval '840 s', taken[3]]";
    sqlx::query(passes).execute(&one.database.pool).await.expect("time passes");
    let answer = log_in(&one, "192.0.2.1", "x-4", "wrong").await;
    refused(&answer, 401, "unauthorized");
    assert_eq!(seconds(&answer, "ratelimit-remaining"), Some(0));
    let limited = log_in(&other, "192.0.2.1", "x-5", "wrong").await;
    refused(&limited, 429, "rate_limited");
    assert!(seconds(&limited, "retry-after").is_some_and(|it| (40..=60).contains(&it)), "{limited:?}");
    let is_forgotten = "update allowances set forget_at = now() - interval '1 s'";
    sqlx::query(is_forgotten).execute(&one.database.pool).await.expect("more time passes");
    assert_eq!(infrastructure::retention::sweep(&one.database.pool).await.expect("a sweep"), 1);
}

#[tokio::test]
async fn without_the_database_nobody_signs_in() {
    let mut database = TestDatabase::create().await;
    let cable = Cable::to(&database);
    database.options = cable.options.clone();
    let app = TestApp::on(database, Options::default(), RateLimits::standard()).await;
    cable.cut();
    let answer = log_in(&app, "192.0.2.1", "admin", "admin-password").await;
    refused(&answer, 503, "unavailable");
    assert!(seconds(&answer, "retry-after").is_some());
    cable.mend();
    tests::app::eventually("somebody to sign in", async || {
        log_in(&app, "192.0.2.1", "admin", "admin-password").await.status.is_success().then_some(())
    })
    .await;
}

/// Passwords a node looked at, as it says itself.
async fn password_checks(http: &reqwest::Client, base: &str) -> u64 {
    let metrics = http.get(format!("{base}/metrics")).send().await.expect("metrics").text().await.expect("text");
    let line = metrics.lines().find_map(|line| line.strip_prefix("password_checks_total "));
    line.map_or(0, |number| number.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_guesses_ten_are_looked_at() {
    const GUESSES: u32 = 10_000;
    let seed = TestApp::start().await;
    seed.account("dana").await;
    let database = seed.stop().await;
    let nodes =
        [Child::start(&database, "http://127.0.0.1:1").await, Child::start(&database, "http://127.0.0.1:1").await];
    let http = infrastructure::http_client::client(Duration::from_secs(60));
    let counted: Arc<[AtomicU32; 3]> = Arc::default();
    stream::iter(0..GUESSES)
        .for_each_concurrent(100, |n| {
            let (http, counted) = (http.clone(), Arc::clone(&counted));
            let url = format!("{}/api/auth/login", nodes[n as usize % 2].base);
            // Four names, so that none of them has to wait for its turn.
            let name = ["dana", "admin", "nobody", "eve"][n as usize % 4];
            let body = json!({ "username": name, "password": format!("guess {n}") });
            async move {
                let answer = http.post(url).json(&body).send().await.expect("an answer");
                let place = match answer.status().as_u16() {
                    401 => 0,
                    429 => 1,
                    _ => 2,
                };
                counted[place].fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
    let [looked_at, refused, other] = [0, 1, 2].map(|n| counted[n].load(Ordering::Relaxed));
    assert_eq!((looked_at, refused, other), (10, GUESSES - 10, 0));
    let checks = password_checks(&http, &nodes[0].base).await + password_checks(&http, &nodes[1].base).await;
    assert_eq!(checks, 10);
}

#[tokio::test]
async fn failed_attempts_keep_the_next_one_waiting_whether_the_name_is_known_or_not() {
    let nodes = nodes(RateLimits { patience: Some(QUICK), ..RateLimits::lifted() }).await;
    nodes[0].account("dana").await;
    sqlx::query("delete from sign_in_attempts").execute(&nodes[0].database.pool).await.expect("a clean table");
    for name in ["dana", "nobody"] {
        let began = Instant::now();
        for n in 0..8 {
            // From everywhere: it is the name that counts.
            let answer = log_in(&nodes[n % 2], &format!("192.0.2.{n}"), &name.to_uppercase(), "wrong").await;
            refused(&answer, 401, "unauthorized");
        }
        // The sixth keeps 40 ms from the fifth, the seventh 80 from that, the eighth 160.
        assert!(began.elapsed() >= Duration::from_millis(280), "{name}: {:?}", began.elapsed());
    }
    let counted: Vec<i32> = sqlx::query_scalar("select attempts from sign_in_attempts where place = ''")
        .fetch_all(&nodes[0].database.pool)
        .await
        .expect("rows");
    assert_eq!(counted, [8, 8]);
    // A success forgets them.
    assert!(log_in(&nodes[0], "192.0.2.9", "dana", "correct horse").await.status.is_success());
    let left = "select count(*) from sign_in_attempts where attempts > 0";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&nodes[0].database.pool).await.expect("a count");
    assert_eq!(left, 1, "nobody's alone");
    // So does a quarter of an hour without any.
    let quiet = "update sign_in_attempts set turn_at = turn_at - interval '901 s'";
    sqlx::query(quiet).execute(&nodes[0].database.pool).await.expect("time passes");
    refused(&log_in(&nodes[1], "192.0.2.9", "nobody", "wrong").await, 401, "unauthorized");
    let again: i32 = sqlx::query_scalar("select attempts from sign_in_attempts where place = ''")
        .fetch_one(&nodes[0].database.pool)
        .await
        .expect("a row");
    assert_eq!(again, 1);
}

#[tokio::test]
async fn a_crowd_of_guesses_is_let_in_one_by_one_and_the_owner_does_not_wait_for_it() {
    let patience = Patience { longest: Duration::from_secs(2), first: Duration::from_millis(500), ..QUICK };
    let nodes = nodes(RateLimits { patience: Some(patience), ..RateLimits::lifted() }).await;
    nodes[0].account("dana").await;
    // Where she signed in from before she has a lane of her own.
    assert!(log_in(&nodes[0], "198.51.100.1", "dana", "correct horse").await.status.is_success());
    let crowd = async || {
        let guesses = (0..60).map(|n| {
            let (node, from) = (&nodes[n % 2], format!("192.0.2.{n}"));
            async move { log_in(node, &from, "dana", &format!("guess {n}")).await }
        });
        join_all(guesses).await
    };
    let owner = async {
        tests::app::eventually("the crowd to wait", async || {
            let all = "select coalesce(max(attempts), 0) from sign_in_attempts where place = ''";
            let made: i32 = sqlx::query_scalar(all).fetch_one(&nodes[0].database.pool).await.expect("a number");
            (made >= 7).then_some(())
        })
        .await;
        // She gets in while they wait, time and again.
        for node in &nodes {
            assert!(log_in(node, "198.51.100.1", "dana", "correct horse").await.status.is_success());
        }
    };
    let (answers, ()) = tokio::join!(crowd(), owner);
    let (mut looked_at, mut refused) = (0, 0);
    for answer in &answers {
        match answer.status.as_u16() {
            401 => looked_at += 1,
            429 => {
                assert!(seconds(answer, "retry-after").is_some_and(|it| (1..=4).contains(&it)), "{answer:?}");
                refused += 1;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    // Five at once, then 0.5, 1 and 2 seconds apart as far as one waits; hashing takes time, in which more find a turn.
    assert!((6..=9).contains(&looked_at), "{looked_at} looked at, {refused} refused");
    // Whoever failed elsewhere is still counted, and her own lane is clean.
    let lanes = "select attempts from sign_in_attempts order by place = '' desc";
    let lanes: Vec<i32> = sqlx::query_scalar(lanes).fetch_all(&nodes[0].database.pool).await.expect("rows");
    assert!(lanes[0] >= 6 && lanes.contains(&0), "{lanes:?}");
}

#[tokio::test]
async fn what_is_kept_of_attempts_names_nobody() {
    let [one, other] = nodes(RateLimits::standard()).await;
    log_in(&one, "192.0.2.1", "admin", "wrong").await;
    assert!(log_in(&other, "192.0.2.1", "admin", "admin-password").await.status.is_success());
    for table in ["allowances", "sign_in_attempts"] {
        let rows = format!("select to_jsonb(t) from {table} t");
        let rows: Vec<Value> = sqlx::query_scalar(&rows).fetch_all(&one.database.pool).await.expect("rows");
        assert!(!rows.is_empty());
        let text = json!(rows).to_string();
        assert!(!text.contains("admin") && !text.contains("192.0"), "{text}");
    }
}
