//! Accounts: who may change what of whom, and how an account ends.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, LINE, SignedIn, TestApp, eventually};
use tests::flows::{drawflow, echo};
use tests::webhook::text_message;
use uuid::Uuid;

use super::refused;

const PHONE: &str = "+972501234567";

fn path_of(person: &SignedIn) -> String {
    format!("/api/users/{}", person.id)
}

async fn count(app: &TestApp, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.database.pool).await.expect("a count")
}

async fn log_in(app: &TestApp, username: &str) -> Answer {
    let body = json!({ "username": username, "password": "correct horse" });
    app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await
}

#[tokio::test]
async fn accounts_are_listed_without_their_employees() {
    let app = TestApp::start().await;
    let (admin, dana) = (app.admin().await, app.account("dana").await);
    let noa = app.employee(&dana, "noa", &["people"]).await;
    let listed = admin.get("/api/users").await;
    assert_eq!(listed.header("x-total-count"), Some("2"));
    let listed = listed.ok();
    let names: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|it| it["username"].as_str()).collect();
    assert_eq!(names, ["admin", "dana"]);
    assert_eq!(listed[1]["accountId"], listed[1]["id"]);
    assert_eq!(listed[1]["permissions"].as_array().map(Vec::len), Some(9));
    // An employee is found by themselves, and at their account's employees.
    refused(&admin.get(&path_of(&noa)).await, 404, "not_found");
    refused(&admin.put(&path_of(&noa), &json!({ "role": "admin" })).await, 404, "not_found");
    refused(&admin.delete(&path_of(&noa)).await, 404, "not_found");
    refused(&dana.get(&path_of(&noa)).await, 404, "not_found");
    let own = noa.get(&path_of(&noa)).await.ok();
    assert_eq!((&own["role"], &own["accountId"]), (&json!("employee"), &json!(dana.id)));
    for (who, status) in [(&dana, 403), (&noa, 403)] {
        assert_eq!(who.get("/api/users").await.status, status);
        let new = json!({ "username": "eve", "password": "correct horse", "email": "eve@example.com" });
        assert_eq!(who.post("/api/users", &new).await.status, status);
        assert_eq!(who.delete(&path_of(&dana)).await.status, status);
    }
}

#[tokio::test]
async fn what_is_not_theirs_to_set_refuses_the_whole_change() {
    let app = TestApp::start().await;
    let (admin, dana) = (app.admin().await, app.account("dana").await);
    let noa = app.employee(&dana, "noa", &["people", "settings"]).await;
    let own = json!({ "displayName": "Dana Levi", "email": "dana@flow.example", "timezone": "Asia/Jerusalem" });
    let changed = dana.put(&path_of(&dana), &own).await.ok();
    for (field, value) in own.as_object().expect("members") {
        assert_eq!(&changed[field], value);
    }
    for stolen in [json!({ "role": "admin" }), json!({ "apiAccessApproved": true }), json!({ "role": "user" })] {
        let mut change = json!({ "displayName": "Mallory" });
        change.as_object_mut().expect("members").extend(stolen.as_object().cloned().expect("members"));
        refused(&dana.put(&path_of(&dana), &change).await, 403, "forbidden");
        refused(&noa.put(&path_of(&noa), &change).await, 403, "forbidden");
    }
    refused(&noa.put(&path_of(&noa), &json!({ "timezone": "UTC" })).await, 403, "forbidden");
    assert_eq!(dana.get(&path_of(&dana)).await.ok(), changed, "nothing of it was set");
    assert_eq!(noa.put(&path_of(&noa), &json!({ "displayName": "Noa" })).await.ok()["displayName"], "Noa");
    // Every field of the answer, sent back: what is nobody's to set is no field of the request.
    for (field, value) in changed.as_object().expect("members") {
        let answer = dana.put(&path_of(&dana), &json!({ field: value })).await;
        let status = match field.as_str() {
            "displayName" | "email" | "timezone" => 200,
            "role" | "apiAccessApproved" => 403,
            _ => 400,
        };
        assert_eq!(answer.status, status, "{field}: {}", answer.text);
    }
    assert_eq!(dana.get(&path_of(&dana)).await.ok(), changed);
    let approved = admin.put(&path_of(&dana), &json!({ "apiAccessApproved": true })).await.ok();
    assert_eq!((&approved["apiAccessApproved"], &approved["role"]), (&json!(true), &json!("user")));
}

#[tokio::test]
async fn somebody_administers_the_installation_at_any_time() {
    let app = TestApp::start().await;
    let (admin, dana) = (app.admin().await, app.account("dana").await);
    refused(&admin.put(&path_of(&admin), &json!({ "role": "user" })).await, 409, "last_administrator");
    refused(&admin.delete(&path_of(&admin)).await, 409, "oneself");
    admin.put(&path_of(&dana), &json!({ "role": "admin" })).await.ok();
    assert_eq!(dana.get("/api/users").await.status, 200, "the role counts from the next request on");
    // Each wants to be the only one, at the same time.
    let demote = json!({ "role": "user" });
    let (one, other) = (path_of(&dana), path_of(&admin));
    let (one, other) = tokio::join!(admin.put(&one, &demote), dana.put(&other, &demote));
    let statuses = [one.status.as_u16(), other.status.as_u16()];
    assert!(statuses.contains(&200) && !statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(count(&app, "select count(*) from users where role = 'admin'").await, 1);
}

/// An account with everything that can outlive it: an employee, an API client, a line, a flow, a conversation, a run
/// that waits, and messages that wait for a stopped line.
async fn lived(app: &TestApp) -> (SignedIn, SignedIn, SignedIn, String) {
    let dana = app.account("dana").await;
    let noa = app.employee(&dana, "noa", &["inbox"]).await;
    let client = app.api_client(&dana).await;
    let graph = drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "one moment" }), &["3"]),
        ("3", "delay", json!({ "seconds": 86_400 }), &["4"]),
        ("4", "send_text", json!({ "text": "still there?" }), &[]),
        ("5", "trigger_lead_api", json!({ "auth": { "mode": "none" } }), &["6"]),
        ("6", "send_text", json!({ "text": "welcome" }), &[]),
    ]);
    let flow = dana.has_line().await.has_flow("Wait", &graph).await;
    app.customer_writes(PHONE, "hi").await;
    app.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    eventually("the last status", async || {
        (dana.get(&path).await.ok()["messages"][1]["status"] == "read").then_some(())
    })
    .await;
    // What waits longer than this test takes.
    sqlx::query(
        "insert into outbox (tenant_id, lane, bucket, message_id, recipient, content, due_at, expires_at)
         select $1::uuid, $2::uuid, $3, gen_random_uuid(), '{}', '{}', now() + interval '1 hour', now() + interval '1 day'",
    )
    .bind(&dana.id)
    .bind(conversation["id"].as_str().expect("an id"))
    .bind(LINE)
    .execute(&app.database.pool)
    .await
    .expect("a message");
    (dana, noa, client, flow)
}

#[tokio::test]
async fn a_deleted_account_lets_nobody_in_and_nothing_out_and_stays_readable() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (dana, noa, client, flow) = lived(&app).await;
    let log = eventually("the log", async || {
        let log = admin.get(&format!("/api/audit/events?account={}&limit=200", dana.id)).await.ok();
        (log == dana.get("/api/audit/events?limit=200").await.ok() && log.as_array()?.len() > 5).then_some(log)
    })
    .await;
    let done = admin.delete(&path_of(&dana)).await;
    assert_eq!(done.ok(), json!({ "success": true }));
    for who in [&dana, &noa, &client] {
        refused(&who.get("/api/auth/me").await, 401, "unauthorized");
    }
    for name in ["dana", "noa"] {
        refused(&log_in(&app, name).await, 401, "unauthorized");
    }
    for answer in [admin.get(&path_of(&dana)).await, admin.delete(&path_of(&dana)).await] {
        refused(&answer, 404, "not_found");
    }
    // Nothing waits any more, and what waited says why.
    let waiting = "select count(*) from outbox where state <> 4 or last_error <> 'the account was deleted'";
    assert_eq!(count(&app, waiting).await, 0);
    assert_eq!(count(&app, "select count(*) from outbox where state = 4").await, 1);
    let timers = "select count(*) from jobs where not dead or last_error <> 'the account was deleted'";
    assert_eq!((count(&app, timers).await, count(&app, "select count(*) from jobs where dead").await), (0, 1));
    assert_eq!(count(&app, "select count(*) from whatsapp_lines").await, 0);
    assert_eq!(count(&app, "select count(*) from users where password_hash <> ''").await, 1);
    // Customers' messages are kept aside, triggers find nothing, and nothing of it is recorded.
    app.deliver(&text_message(&PHONE[1..], "wamid.late", "hello?")).await.ok();
    eventually("the parked message", async || {
        let parked = "select count(*) from parked_elements where reason like 'no account has the line%'";
        (count(&app, parked).await == 1).then_some(())
    })
    .await;
    let trigger = async |flow: &str| {
        let lead = json!({ "phone": "+972509999999", "name": "x" });
        app.call(Method::POST, &format!("/api/webhook/flow/{flow}/lead"), Some(&lead), &[]).await
    };
    let (gone, unknown) = (trigger(&flow).await, trigger(&Uuid::new_v4().to_string()).await);
    assert_eq!((gone.status, &gone.body), (unknown.status, &unknown.body));
    assert!(gone.status.is_client_error(), "{}", gone.text);
    let events = admin.get(&format!("/api/audit/events?account={}&limit=200", dana.id)).await.ok();
    assert_eq!(events, log, "the log is as it was");
    let entries = format!("/api/audit/entries?account={}&action=user.deleted", dana.id);
    let entries = eventually("the entry", async || {
        let entries = admin.get(&entries).await.ok();
        (entries.as_array()?.len() == 1).then_some(entries)
    })
    .await;
    let details = &entries[0]["details"];
    assert_eq!(entries[0]["actor"], json!(format!("user:{}", admin.id)));
    assert_eq!(
        (&details["employees"], &details["lines"], &details["messagesGivenUp"], &details["timersGivenUp"]),
        (&json!([noa.id]), &json!([LINE]), &json!(1), &json!(1)),
        "{details}"
    );
    // Name and number are free; the new account is another one.
    let again = app.account("Dana").await;
    again.has_line().await.has_flow("Echo", &echo()).await;
    assert_ne!(again.id, dana.id);
    assert_eq!(again.get("/api/conversations").await.ok(), json!([]));
    app.employee(&again, "noa", &[]).await;
}

#[tokio::test]
async fn what_another_node_knows_of_a_deleted_account_it_forgets_within_5_seconds() {
    let one = TestApp::start().await;
    let dana = one.account("dana").await;
    dana.has_line().await;
    let other = TestApp::on(one.database.again(), Options::default(), RateLimits::lifted()).await;
    let elsewhere = other.sign_in("dana", "correct horse").await;
    elsewhere.get("/api/auth/me").await.ok();
    one.admin().await.delete(&path_of(&dana)).await.ok();
    let began = std::time::Instant::now();
    eventually("the other node to know", async || (elsewhere.get("/api/auth/me").await.status == 401).then_some(()))
        .await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_message_never_leaves_on_a_number_that_is_somebody_elses_by_now() {
    let app = TestApp::start().await;
    let (dana, eve) = (app.account("dana").await, app.account("eve").await);
    eve.has_line().await;
    sqlx::query(
        "insert into outbox (tenant_id, lane, bucket, message_id, recipient, content, expires_at)
         values ($1::uuid, gen_random_uuid(), $2, gen_random_uuid(), $3, $4, now() + interval '1 day')",
    )
    .bind(&dana.id)
    .bind(LINE)
    .bind(json!({ "phone": PHONE }))
    .bind(json!({ "type": "text", "text": "not for this number", "previewUrl": false }))
    .execute(&app.database.pool)
    .await
    .expect("a message");
    eventually("a dead letter", async || {
        let dead =
            "select count(*) from outbox where state = 4 and last_error = 'the account has no such line any more'";
        (count(&app, dead).await == 1).then_some(())
    })
    .await;
    assert_eq!(app.answers(PHONE).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_deletion_that_is_sent_again_is_answered_again() {
    let app = TestApp::start().await;
    let (admin, dana) = (app.admin().await, app.account("dana").await);
    let first = admin.keyed("delete-dana", Method::DELETE, &path_of(&dana), None).await;
    let second = admin.keyed("delete-dana", Method::DELETE, &path_of(&dana), None).await;
    assert_eq!((first.status.as_u16(), &first.body), (200, &json!({ "success": true })));
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    // The process died before the answer was kept: the request finds out that it took effect.
    sqlx::query("delete from idempotency_keys").execute(&app.database.pool).await.expect("no answers");
    let new = json!({ "username": "eve", "password": "correct horse", "email": "eve@example.com" });
    admin.keyed("make-eve", Method::POST, "/api/users", Some(&new)).await.ok();
    sqlx::query("delete from idempotency_keys").execute(&app.database.pool).await.expect("no answers");
    let lost = admin.keyed("make-eve", Method::POST, "/api/users", Some(&new)).await;
    refused(&lost, 409, "idempotency_outcome_unknown");
    let made: Vec<Value> = sqlx::query_scalar(
        "select details from audit_entries where action = 'user.created' and details ->> 'username' = 'eve'",
    )
    .fetch_all(&app.database.pool)
    .await
    .expect("entries");
    assert_eq!(made.len(), 1);
}
