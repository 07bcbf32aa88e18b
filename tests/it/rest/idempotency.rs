//! A request that is sent again takes effect once and is answered as it was.

mod rights;

use std::collections::HashSet;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use futures::future::join_all;
use infrastructure::retention;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::app::{Answer, SignedIn, TestApp, eventually};
use tests::cluster::TestDatabase;
use tests::flows;
use uuid::Uuid;

use super::refused;

const PHONE: &str = "+972501234567";

async fn post(who: &SignedIn, key: &str, path: &str, body: &Value) -> Answer {
    who.keyed(key, Method::POST, path, Some(body)).await
}

fn is_again(again: &Answer, first: &Answer) {
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!((again.header("idempotency-replayed"), first.header("idempotency-replayed")), (Some("true"), None));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"), "it is another request all the same");
}

async fn count(pool: &PgPool, what: &str) -> i64 {
    sqlx::query_scalar(&format!("select count(*) from {what}")).fetch_one(pool).await.expect("a count")
}

/// The process died on the request: its lease ran out and there is no answer.
async fn died(pool: &PgPool, key: &str) {
    let done = sqlx::query(
        "update idempotency_keys set status = null, headers = null, body = null, locked_until = now() - interval '1 second' where key = $1",
    );
    assert_eq!(done.bind(key).execute(pool).await.expect("a row").rows_affected(), 1);
}

#[tokio::test]
async fn posts_puts_and_deletes_are_answered_again_and_done_once() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let flow = json!({ "name": "one", "drawflowData": flows::echo() });
    let made = post(&dana, "make", "/api/flows", &flow).await;
    assert_eq!(made.status.as_u16(), 201);
    is_again(&post(&dana, "make", "/api/flows", &flow).await, &made);
    assert_eq!(count(pool, "events where event_type = 'flow.created'").await, 1);

    let path = format!("/api/flows/{}", made.body["id"].as_str().expect("an id"));
    let renamed = dana.keyed("name", Method::PUT, &path, Some(&json!({ "name": "two" }))).await;
    dana.put(&path, &json!({ "name": "three" })).await.ok();
    is_again(&dana.keyed("name", Method::PUT, &path, Some(&json!({ "name": "two" }))).await, &renamed);
    assert_eq!(dana.get(&path).await.ok()["name"], "three", "what came later stays");

    let gone = dana.keyed("delete", Method::DELETE, &path, None).await;
    is_again(&dana.keyed("delete", Method::DELETE, &path, None).await, &gone);
    refused(&dana.delete(&path).await, 404, "not_found");

    // What is not event-sourced is done once as well.
    let admin = app.admin().await;
    let noa = json!({ "username": "noa", "password": "correct horse", "email": "noa@example.com" });
    let user = post(&admin, "make", "/api/users", &noa).await;
    is_again(&post(&admin, "make", "/api/users", &noa).await, &user);
    refused(&post(&admin, "another", "/api/users", &noa).await, 409, "username_taken");
}

#[tokio::test]
async fn a_message_that_is_sent_again_leaves_once() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    app.customer_writes("972501234567", "hello").await;
    let id = dana.conversation_with("972501234567").await["id"].as_str().expect("an id").to_owned();
    let (path, reply) = (format!("/api/conversations/{id}/reply"), json!({ "messageType": "text", "text": "Hi" }));
    let sent = post(&dana, "hi", &path, &reply).await;
    is_again(&post(&dana, "hi", &path, &reply).await, &sent);
    dana.post(&path, &json!({ "messageType": "text", "text": "Bye" })).await.ok();
    let answers = app.wait_for_answers("972501234567", 2).await;
    assert_eq!(answers.len(), 2, "{answers:?}");
}

#[tokio::test]
async fn a_key_belongs_to_one_request_and_one_account() {
    let app = TestApp::start().await;
    let (dana, noa) = (app.account("dana").await, app.account("noa").await);
    let lead = json!({ "phone": PHONE, "name": "Dana" });
    let told = post(&dana, "k", "/api/leads", &lead).await;
    assert_eq!(told.status.as_u16(), 201);
    let others = [
        post(&dana, "k", "/api/leads", &json!({ "phone": PHONE, "name": "Noa" })).await,
        post(&dana, "k", "/api/leads?a=1", &lead).await,
        post(&dana, "k", "/api/flows", &lead).await,
        dana.keyed("k", Method::PUT, "/api/leads/%2B972501234567", Some(&lead)).await,
    ];
    for other in &others {
        refused(other, 409, "idempotency_key_reused");
    }
    let theirs = post(&noa, "k", "/api/leads", &lead).await;
    assert_eq!((theirs.status.as_u16(), theirs.header("idempotency-replayed")), (201, None));
    assert_ne!(theirs.body["id"], told.body["id"]);
    is_again(&post(&dana, "k", "/api/leads", &lead).await, &told);
}

#[tokio::test]
async fn refusals_are_kept_and_bad_keys_refused() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let early = dana.keyed("early", Method::PUT, "/api/leads/%2B972501234567", Some(&json!({ "status": "won" }))).await;
    refused(&early, 404, "not_found");
    dana.post("/api/leads", &json!({ "phone": PHONE })).await.ok();
    let again = dana.keyed("early", Method::PUT, "/api/leads/%2B972501234567", Some(&json!({ "status": "won" }))).await;
    is_again(&again, &early);
    let wrong = post(&dana, "wrong", "/api/leads", &json!({ "phone": "x" })).await;
    refused(&wrong, 400, "phone_invalid");
    is_again(&post(&dana, "wrong", "/api/leads", &json!({ "phone": "x" })).await, &wrong);

    let kept = count(pool, "idempotency_keys").await;
    for key in [&"k".repeat(256), "with space"] {
        refused(&post(&dana, key, "/api/leads", &json!({ "phone": PHONE })).await, 400, "idempotency_key_invalid");
    }
    assert_eq!(post(&dana, &"k".repeat(255), "/api/leads", &json!({ "phone": PHONE })).await.status.as_u16(), 200);
    refused(&post(&dana, "k", "/api/settings/api-access", &json!({})).await, 400, "idempotency_key_unsupported");
    refused(&post(&dana, "k", "/api/auth/logout", &json!({})).await, 400, "idempotency_key_unsupported");
    let stranger =
        app.call(Method::POST, "/api/leads", Some(&json!({ "phone": PHONE })), &[("idempotency-key", "k")]).await;
    refused(&stranger, 401, "unauthorized");
    assert_eq!(dana.keyed("g", Method::GET, "/api/leads", None).await.status.as_u16(), 200, "reading needs no key");
    assert_eq!(count(pool, "idempotency_keys").await, kept + 1);
    let clear: Vec<String> =
        sqlx::query_scalar("select row_to_json(i)::text from idempotency_keys i").fetch_all(pool).await.expect("rows");
    assert!(clear.iter().all(|row| !row.contains("972501234567")), "answers are sealed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_at_once_one_takes_effect() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let flow = json!({ "name": "one", "drawflowData": flows::echo() });
    let answers = join_all((0..20).map(|_| post(&dana, "at-once", "/api/flows", &flow))).await;
    let (made, others): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status.as_u16() == 201);
    for other in &others {
        refused(other, 409, "idempotency_in_progress");
        assert_eq!(other.header("retry-after"), Some("1"));
    }
    let ids: HashSet<&str> = made.iter().filter_map(|it| it.body["id"].as_str()).collect();
    let first = made.iter().filter(|it| it.header("idempotency-replayed").is_none()).count();
    assert_eq!((ids.len(), first), (1, 1), "{} made", made.len());
    assert_eq!(count(pool, "events where event_type = 'flow.created'").await, 1);
}

#[tokio::test]
async fn a_request_whose_process_died_is_taken_over_and_takes_effect_once() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let flow = json!({ "name": "one", "drawflowData": flows::echo() });
    post(&dana, "after", "/api/flows", &flow).await.ok();
    died(pool, "after").await;
    let unknown = post(&dana, "after", "/api/flows", &flow).await;
    refused(&unknown, 409, "idempotency_outcome_unknown");
    is_again(&post(&dana, "after", "/api/flows", &flow).await, &unknown);
    assert_eq!(dana.get("/api/flows").await.ok().as_array().map(Vec::len), Some(1));

    // One that died before it took effect is simply done; one that still runs is not.
    post(&dana, "before", "/api/leads", &json!({ "phone": PHONE })).await.ok();
    died(pool, "before").await;
    let lease = "update idempotency_keys set locked_until = now() + interval '1 minute' where key = 'before'";
    sqlx::query(lease).execute(pool).await.expect("a lease");
    sqlx::query("delete from once where reference = 'request'").execute(pool).await.expect("as if it had not been");
    let lead = json!({ "phone": PHONE });
    refused(&post(&dana, "before", "/api/leads", &lead).await, 409, "idempotency_in_progress");
    died(pool, "before").await;
    refused(
        &post(&dana, "before", "/api/leads", &json!({ "phone": PHONE, "name": "x" })).await,
        409,
        "idempotency_key_reused",
    );
    post(&dana, "before", "/api/leads", &lead).await.ok();

    // An answer may be forgotten before its key is.
    sqlx::query("update idempotency_keys set body = null").execute(pool).await.expect("forgotten answers");
    refused(&post(&dana, "before", "/api/leads", &lead).await, 409, "idempotency_outcome_unknown");
}

#[tokio::test]
async fn a_request_that_died_between_the_lead_and_the_run_starts_the_run() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let graph = flows::drawflow(&[
        ("1", "trigger_lead_api", json!({ "auth": { "mode": "none" } }), &["2"]),
        ("2", "send_text", json!({ "text": "welcome" }), &[]),
    ]);
    let flow = dana.has_line().await.has_flow("lead", &graph).await;
    app.customer_writes("972501234567", "hello").await;
    dana.conversation_with("972501234567").await;
    let (path, lead) = (format!("/api/webhook/flow/{flow}/lead"), json!({ "phone": PHONE, "name": "Dana" }));
    post(&dana, "lead", &path, &lead).await.ok();
    app.wait_for_answers("972501234567", 1).await;
    died(pool, "lead").await;
    refused(&post(&dana, "lead", &path, &lead).await, 409, "idempotency_outcome_unknown");
    died(pool, "lead").await;
    sqlx::query("delete from once where reference = 'request' and stream in (select aggregate_id from events where aggregate_type = 'conversation')")
        .execute(pool)
        .await
        .expect("the run is missing");
    post(&dana, "lead", &path, &lead).await.ok();
    assert_eq!(app.wait_for_answers("972501234567", 2).await.len(), 2);
}

#[tokio::test]
async fn what_failed_inside_may_be_tried_again_with_the_same_key() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let lead = json!({ "phone": PHONE });
    sqlx::query("alter table outbox rename to broken").execute(pool).await.expect("a broken database");
    sqlx::query("alter table events rename to broken_too").execute(pool).await.expect("a broken database");
    refused(&post(&dana, "k", "/api/leads", &lead).await, 500, "internal");
    assert_eq!(count(pool, "idempotency_keys").await, 0, "no lock is left behind");
    sqlx::query("alter table broken rename to outbox").execute(pool).await.expect("a whole one");
    sqlx::query("alter table broken_too rename to events").execute(pool).await.expect("a whole one");
    let told = post(&dana, "k", "/api/leads", &lead).await;
    assert_eq!((told.status.as_u16(), told.header("idempotency-replayed")), (201, None));
    is_again(&post(&dana, "k", "/api/leads", &lead).await, &told);
}

#[tokio::test]
async fn a_client_that_hangs_up_finds_its_answer() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let lead = json!({ "phone": PHONE });
    // The append waits behind this lock while the client loses its patience.
    let mut lock = pool.begin().await.expect("a transaction");
    sqlx::query("lock table events in share mode").execute(&mut *lock).await.expect("a lock");
    let impatient =
        tokio::time::timeout(std::time::Duration::from_millis(300), post(&dana, "k", "/api/leads", &lead)).await;
    assert!(impatient.is_err(), "it hung up");
    refused(&post(&dana, "k", "/api/leads", &lead).await, 409, "idempotency_in_progress");
    lock.rollback().await.expect("the lock is gone");
    let found = eventually("the answer", async || {
        let again = post(&dana, "k", "/api/leads", &lead).await;
        again.status.is_success().then_some(again)
    })
    .await;
    assert_eq!((found.status.as_u16(), found.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(count(pool, "events where event_type = 'lead.captured'").await, 1);
}

#[tokio::test]
async fn a_write_that_the_read_models_do_not_know_yet_is_answered_from_the_log() {
    // In a cluster where nobody else waits for the horizon that this transaction holds.
    let app = TestApp::on(TestDatabase::elsewhere().await, Options::default(), RateLimits::lifted()).await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let mut long = pool.begin().await.expect("a transaction");
    sqlx::query("select pg_current_xact_id()").execute(&mut *long).await.expect("it writes");
    let told = post(&dana, "k", "/api/leads", &json!({ "phone": PHONE })).await;
    assert_eq!((told.status.as_u16(), told.header("projection-lag")), (201, Some("true")), "{}", told.text);
    assert_eq!(told.body["phone"], PHONE);
    is_again(&post(&dana, "k", "/api/leads", &json!({ "phone": PHONE })).await, &told);
    let flow =
        dana.post("/api/flows", &json!({ "name": "Echo", "status": "active", "drawflowData": flows::echo() })).await;
    assert_eq!((flow.status.as_u16(), flow.header("projection-lag")), (201, Some("true")), "{}", flow.text);
    assert_eq!((&flow.body["version"], &flow.body["status"]), (&json!(1), &json!("active")));
    long.rollback().await.expect("an end");
    eventually("the lead", async || dana.get("/api/leads/%2B972501234567").await.status.is_success().then_some(()))
        .await;
    assert_eq!(count(pool, "events where event_type = 'lead.captured'").await, 1);
}

#[tokio::test]
async fn an_erased_contact_is_in_no_kept_answer() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let lead = json!({ "phone": PHONE, "name": "Dana Levi" });
    post(&dana, "k", "/api/leads", &lead).await.ok();
    let contact: Uuid =
        sqlx::query_scalar("select contact_id from contact_streams").fetch_one(pool).await.expect("the contact");
    let path = format!("/api/contacts/{contact}/personal-data");
    let erased = dana.keyed("erase", Method::DELETE, &path, None).await;
    assert!(erased.status.is_success(), "{}", erased.text);
    is_again(&dana.keyed("erase", Method::DELETE, &path, None).await, &erased);
    let again = post(&dana, "k", "/api/leads", &lead).await;
    refused(&again, 409, "idempotency_outcome_unknown");
    assert!(!again.text.contains("Dana Levi"));
}

#[tokio::test]
async fn keys_are_kept_for_seven_days() {
    let app = TestApp::start().await;
    let (dana, pool) = (app.account("dana").await, &app.database.pool);
    let flow = json!({ "name": "one", "drawflowData": flows::echo() });
    let made = post(&dana, "k", "/api/flows", &flow).await;
    let age = async |days: f64| {
        for statement in [
            "update idempotency_keys set created_at = now() - interval '1 day' * $1",
            "update once set recorded_at = now() - interval '1 day' * $1",
        ] {
            sqlx::query(statement).bind(days).execute(pool).await.expect("older rows");
        }
        retention::sweep(pool).await.expect("a sweep");
    };
    let wamid = format!("in:{}", Uuid::new_v4());
    let known = "insert into once (tenant_id, key, stream, reference) values ($1, $2, '', '')";
    sqlx::query(known).bind(Uuid::nil()).bind(&wamid).execute(pool).await.expect("a key of a webhook");
    age(6.9).await;
    is_again(&post(&dana, "k", "/api/flows", &flow).await, &made);
    age(7.1).await;
    assert_eq!((count(pool, "idempotency_keys").await, count(pool, "once").await), (0, 1), "a webhook's key stays");
    let anew = post(&dana, "k", "/api/flows", &flow).await;
    assert_eq!((anew.status.as_u16(), anew.header("idempotency-replayed")), (201, None));
    assert_ne!(anew.body["id"], made.body["id"]);
}
