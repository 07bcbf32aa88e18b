//! Employees: what they may do, who may change them, and how fast that counts.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, SignedIn, TestApp, eventually};
use tests::flows::echo;

use super::refused;

const PHONE: &str = "+972501234567";

fn path_of(employee: &SignedIn) -> String {
    format!("/api/employees/{}", employee.id)
}

fn new(username: &str, extra: Value) -> Value {
    let mut new =
        json!({ "username": username, "password": "correct horse", "email": format!("{username}@example.com") });
    new.as_object_mut().expect("members").extend(extra.as_object().cloned().unwrap_or_default());
    new
}

async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    app.call(Method::POST, "/api/auth/login", Some(&body), &[]).await
}

#[tokio::test]
async fn an_employee_is_made_shown_changed_and_removed() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let facts = json!({ "displayName": "Noa Cohen", "phone": "+972 50-111-2222", "team": "support",
                        "permissions": ["leads", "inbox", "inbox"] });
    let made = dana.post("/api/employees", &new("noa", facts)).await;
    assert_eq!(made.status, 201);
    let made = made.ok();
    let expected = json!({ "id": made["id"], "username": "noa", "displayName": "Noa Cohen", "email": "noa@example.com",
        "phone": "+972501112222", "team": "support", "permissions": ["inbox", "leads"], "active": true, "createdAt": made["createdAt"] });
    assert_eq!(made, expected);
    let path = format!("/api/employees/{}", made["id"].as_str().expect("an id"));
    assert_eq!(dana.get(&path).await.ok(), made);
    assert_eq!(dana.put(&path, &json!({})).await.ok(), made, "what is absent stays");
    let changed = dana.put(&path, &json!({ "phone": null, "team": null, "displayName": "Noa" })).await.ok();
    assert_eq!((changed.get("phone"), changed.get("team"), &changed["displayName"]), (None, None, &json!("Noa")));
    // Names are one namespace, whoever's people they name.
    for taken in ["noa", "NOA", "dana", "admin"] {
        refused(&dana.post("/api/employees", &new(taken, json!({}))).await, 409, "username_taken");
    }
    for wrong in [
        json!({ "permissions": ["everything"] }),
        json!({ "permissions": "inbox" }),
        json!({ "phone": "12" }),
        json!({ "team": "" }),
        json!({ "team": " support" }),
        json!({ "email": "nobody" }),
        json!({ "password": "short" }),
        json!({ "username": "a b" }),
        json!({ "role": "admin" }),
        json!({ "accountId": made["id"] }),
    ] {
        let answer = dana.post("/api/employees", &new("eve", wrong.clone())).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text);
    }
    for field in ["username", "id", "createdAt", "role", "accountId"] {
        refused(&dana.put(&path, &json!({ field: made["id"] })).await, 400, "invalid_request");
    }
    dana.delete(&path).await.ok();
    for answer in [dana.get(&path).await, dana.put(&path, &json!({})).await, dana.delete(&path).await] {
        refused(&answer, 404, "not_found");
    }
    refused(&log_in(&app, "noa", "correct horse").await, 401, "unauthorized");
    // The name is free, and whoever has it next is somebody else.
    let next = dana.post("/api/employees", &new("Noa", json!({}))).await.ok();
    assert_ne!(next["id"], made["id"]);
}

#[tokio::test]
async fn lists_are_pages_of_the_accounts_own() {
    let app = TestApp::start().await;
    let (dana, eve) = (app.account("dana").await, app.account("eve").await);
    app.employee(&eve, "zoe", &[]).await;
    for (n, team) in ["sales", "support", "sales", "support", "sales"].into_iter().enumerate() {
        let extra = json!({ "team": team, "active": n != 2 });
        dana.post("/api/employees", &new(&format!("person{n}"), extra)).await.ok();
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = dana.get(&format!("/api/employees?limit=2{cursor}")).await;
        assert_eq!(answer.header("x-total-count"), Some("5"));
        let next = answer.header("x-next-cursor").map(|next| format!("&cursor={next}"));
        let page = answer.ok();
        names.extend(
            page.as_array().expect("a list").iter().map(|it| it["username"].as_str().unwrap_or_default().to_owned()),
        );
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(names, ["person0", "person1", "person2", "person3", "person4"]);
    for (filter, many) in [("team=sales", 3), ("active=false", 1), ("team=sales&active=true", 2), ("team=none", 0)] {
        let found = dana.get(&format!("/api/employees?{filter}")).await.ok();
        assert_eq!(found.as_array().map(Vec::len), Some(many), "{filter}");
    }
    refused(&dana.get("/api/employees?cursor=zz").await, 400, "invalid_request");
}

#[tokio::test]
async fn an_employee_signs_in_like_everybody_and_does_what_was_granted() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    dana.post("/api/leads", &json!({ "phone": PHONE, "name": "Noa" })).await.ok();
    app.customer_writes(PHONE, "hi").await;
    app.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    let noa = app.employee(&dana, "noa", &["inbox"]).await;
    let me = noa.get("/api/auth/me").await.ok();
    let expected = json!({ "id": noa.id, "accountId": dana.id, "role": "employee", "permissions": ["inbox"] });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&me["user"][name], value, "{me}");
    }
    // The account's data, as far as the permission goes.
    assert_eq!(noa.get("/api/conversations").await.ok()[0]["id"], conversation["id"]);
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    assert_eq!(noa.put(&path, &json!({ "action": "claim" })).await.ok()["claimedBy"], json!(noa.id));
    for path in [
        "/api/leads",
        "/api/flows",
        "/api/employees",
        "/api/settings/whatsapp",
        "/api/settings/api-access",
        "/api/audit/entries",
    ] {
        refused(&noa.get(path).await, 403, "forbidden");
    }
    // Who removes the employee leaves the history as it was.
    let actor = format!("user:{}", noa.id);
    dana.delete(&path_of(&noa)).await.ok();
    refused(&noa.get("/api/auth/me").await, 401, "unauthorized");
    let claims = eventually("the claim", async || {
        let claims = dana.get(&format!("/api/audit/events?type=conversation.claimed&actor={actor}")).await.ok();
        (claims.as_array()?.len() == 1).then_some(claims)
    })
    .await;
    assert_eq!(claims[0]["payload"]["by"], json!(noa.id));
}

/// Waits until nobody has a conversation any more.
async fn is_free(owner: &SignedIn, path: &str) {
    eventually("the conversation to be free", async || {
        let shown = owner.get(path).await.ok();
        (shown["status"] == "active" && shown.get("claimedBy").is_none_or(Value::is_null)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_removed_employee_had_claimed_is_free_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("echo", &echo()).await;
    let (noa, avi) = (app.employee(&dana, "noa", &["inbox"]).await, app.employee(&dana, "avi", &["inbox"]).await);
    let mut paths = Vec::new();
    for phone in [PHONE, "+972501234568", "+972501234569"] {
        app.customer_writes(phone, "hi").await;
        app.wait_for_answers(phone, 1).await;
        let conversation = dana.conversation_with(phone).await;
        paths.push(format!("/api/conversations/{}", conversation["id"].as_str().expect("an id")));
    }
    let claim = json!({ "action": "claim" });
    for (who, path) in [(&noa, &paths[0]), (&avi, &paths[1]), (&noa, &paths[2])] {
        who.put(path, &claim).await.ok();
    }
    noa.put(&paths[2], &json!({ "action": "close" })).await.ok();
    refused(&avi.put(&paths[0], &claim).await, 409, "claimed");
    // No node that works is left when she is removed: what has to be done outlives that.
    let idle = Options { roles: Some("api".to_owned()), ..Options::default() };
    let app = TestApp::on(app.stop().await, idle, RateLimits::lifted()).await;
    let dana = app.sign_in("dana", "correct horse").await;
    dana.delete(&path_of(&noa)).await.ok();
    assert_eq!(dana.get(&paths[0]).await.ok()["claimedBy"], json!(noa.id));
    let app = TestApp::on(app.stop().await, Options::default(), RateLimits::lifted()).await;
    let dana = app.sign_in("dana", "correct horse").await;
    is_free(&dana, &paths[0]).await;
    app.customer_writes(PHONE, "and now?").await;
    app.wait_for_answers(PHONE, 1).await;
    // What others have, and what is closed, stays so.
    assert_eq!(dana.get(&paths[1]).await.ok()["claimedBy"], json!(avi.id));
    assert_eq!(dana.get(&paths[2]).await.ok()["status"], "closed");
    let by = format!("/api/audit/events?type=conversation.released&actor=user:{}", dana.id);
    let released = dana.get(&by).await.ok();
    assert_eq!(released.as_array().map(Vec::len), Some(1), "{released}");
    assert_eq!(released[0]["payload"]["by"], json!(noa.id));
}

#[tokio::test]
async fn what_a_deactivated_employee_had_claimed_is_free_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("echo", &echo()).await;
    let noa = app.employee(&dana, "noa", &["inbox"]).await;
    app.customer_writes(PHONE, "hi").await;
    app.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    let claim = json!({ "action": "claim" });
    noa.put(&path, &claim).await.ok();
    // What says nothing of her being there, or that she still is, leaves her what she has.
    dana.put(&path_of(&noa), &json!({ "displayName": "Noa L.", "active": true })).await.ok();
    assert_eq!(releases(&app).await, 0);
    // Twice in a row, as when somebody thinks better of it and worse again.
    for active in [false, true, false] {
        dana.put(&path_of(&noa), &json!({ "active": active })).await.ok();
    }
    is_free(&dana, &path).await;
    let by = format!("/api/audit/events?type=conversation.released&actor=user:{}", dana.id);
    eventually("the history", async || dana.get(&by).await.ok()[0]["payload"]["by"].as_str().map(|it| it == noa.id))
        .await;
    // Once more, when no node believes her sessions.
    eventually("the first release", async || (releases(&app).await == 1).then_some(())).await;
    // Back again she keeps what she takes.
    dana.put(&path_of(&noa), &json!({ "active": true })).await.ok();
    assert_eq!(releases(&app).await, 0);
    let noa = app.sign_in("noa", "correct horse").await;
    assert_eq!(noa.put(&path, &claim).await.ok()["claimedBy"], json!(noa.id));
    // Removed right after she was deactivated.
    dana.put(&path_of(&noa), &json!({ "active": false })).await.ok();
    dana.delete(&path_of(&noa)).await.ok();
    is_free(&dana, &path).await;
}

/// Releases of claims that are still to be done.
async fn releases(app: &TestApp) -> i64 {
    let sql = "select count(*) from jobs where work ->> 'kind' = 'release_claims'";
    sqlx::query_scalar(sql).fetch_one(&app.database.pool).await.expect("a count")
}

#[tokio::test]
async fn a_claim_a_node_took_that_had_not_heard_is_released_too() {
    let one = TestApp::start().await;
    let dana = one.account("dana").await;
    dana.has_line().await.has_flow("echo", &echo()).await;
    let noa = one.employee(&dana, "noa", &["inbox"]).await;
    one.customer_writes(PHONE, "hi").await;
    one.wait_for_answers(PHONE, 1).await;
    let conversation = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
    let other = TestApp::on(one.database.again(), Options::default(), RateLimits::lifted()).await;
    let elsewhere = other.sign_in("noa", "correct horse").await;
    elsewhere.get("/api/auth/me").await.ok();
    dana.delete(&path_of(&noa)).await.ok();
    eventually("the first release", async || (releases(&one).await == 1).then_some(())).await;
    elsewhere.put(&path, &json!({ "action": "claim" })).await.ok();
    assert_eq!(dana.get(&path).await.ok()["claimedBy"], json!(noa.id));
    // 15 seconds later.
    let passes = "update jobs set run_at = now() where work ->> 'kind' = 'release_claims'";
    sqlx::query(passes).execute(&one.database.pool).await.expect("time passes");
    is_free(&dana, &path).await;
    assert_eq!(releases(&one).await, 0);
}

#[tokio::test]
async fn owners_hold_everything_and_api_clients_their_scopes() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let client = app.api_client(&dana).await;
    let held = async |who: &SignedIn| who.get("/api/auth/me").await.ok()["user"]["permissions"].clone();
    assert_eq!(held(&dana).await.as_array().map(Vec::len), Some(9));
    let scopes = held(&client).await;
    assert!(!scopes.to_string().contains("people") && scopes.to_string().contains("inbox"), "{scopes}");
    let theirs = "/api/employees/0194f4b7-2a10-7d55-8c3e-1b2a3c4d5e6f";
    let eve = new("eve", json!({}));
    for (method, path, body) in [
        (Method::GET, "/api/employees", None),
        (Method::POST, "/api/employees", Some(&eve)),
        (Method::GET, theirs, None),
        (Method::PUT, theirs, Some(&json!({}))),
        (Method::DELETE, theirs, None),
    ] {
        refused(&client.call(method, path, body).await, 403, "forbidden");
    }
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold_or_changes_who_stands_above_them() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let lead = app.employee(&dana, "lead", &["people", "inbox"]).await;
    let below = app.employee(&dana, "below", &["inbox"]).await;
    let above = app.employee(&dana, "above", &["inbox", "flows"]).await;
    refused(&lead.post("/api/employees", &new("eve", json!({ "permissions": ["flows"] }))).await, 403, "forbidden");
    lead.post("/api/employees", &new("eve", json!({ "permissions": ["inbox", "people"] }))).await.ok();
    // Those who hold no more are theirs to change, within what they hold.
    lead.put(&path_of(&below), &json!({ "permissions": ["inbox", "people"], "displayName": "B" })).await.ok();
    refused(&lead.put(&path_of(&below), &json!({ "permissions": ["leads"] })).await, 403, "forbidden");
    for change in [
        json!({ "permissions": ["inbox"] }),
        json!({ "password": "taken over" }),
        json!({ "active": false }),
        json!({}),
    ] {
        refused(&lead.put(&path_of(&above), &change).await, 403, "forbidden");
    }
    refused(&lead.delete(&path_of(&above)).await, 403, "forbidden");
    // Themselves: everything but what they may do.
    for change in [
        json!({ "permissions": ["people", "inbox", "flows"] }),
        json!({ "permissions": ["people"] }),
        json!({ "active": false }),
    ] {
        refused(&lead.put(&path_of(&lead), &change).await, 403, "forbidden");
    }
    let same = json!({ "permissions": ["inbox", "people"], "active": true, "displayName": "Lead" });
    assert_eq!(lead.put(&path_of(&lead), &same).await.ok()["displayName"], "Lead");
    refused(&lead.delete(&path_of(&lead)).await, 409, "oneself");
    // The owner is no employee.
    for answer in [
        lead.get(&path_of(&dana)).await,
        lead.put(&path_of(&dana), &json!({ "active": false })).await,
        lead.delete(&path_of(&dana)).await,
    ] {
        refused(&answer, 404, "not_found");
    }
    below.put(&path_of(&lead), &json!({ "displayName": "L" })).await.ok();
    lead.delete(&path_of(&below)).await.ok();
    dana.delete(&path_of(&lead)).await.ok();
}

#[tokio::test]
async fn rights_count_at_once_here_and_within_5_seconds_elsewhere() {
    let one = TestApp::start().await;
    let dana = one.account("dana").await;
    let noa = one.employee(&dana, "noa", &["leads"]).await;
    let other = TestApp::on(one.database.again(), Options::default(), RateLimits::lifted()).await;
    let elsewhere = other.sign_in("noa", "correct horse").await;
    noa.get("/api/leads").await.ok();
    elsewhere.get("/api/leads").await.ok();
    dana.put(&path_of(&noa), &json!({ "permissions": ["flows"] })).await.ok();
    let began = std::time::Instant::now();
    refused(&noa.get("/api/leads").await, 403, "forbidden");
    noa.get("/api/flows").await.ok();
    eventually("the other node to know", async || (elsewhere.get("/api/leads").await.status == 403).then_some(()))
        .await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    // Who may not sign in any more is signed out.
    dana.put(&path_of(&noa), &json!({ "active": false })).await.ok();
    let began = std::time::Instant::now();
    refused(&noa.get("/api/auth/me").await, 401, "unauthorized");
    refused(&log_in(&one, "noa", "correct horse").await, 401, "unauthorized");
    refused(&log_in(&other, "noa", "correct horse").await, 401, "unauthorized");
    eventually("the other node to know", async || (elsewhere.get("/api/auth/me").await.status == 401).then_some(()))
        .await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    // Back again, the old sessions stay ended.
    dana.put(&path_of(&noa), &json!({ "active": true })).await.ok();
    refused(&noa.get("/api/auth/me").await, 401, "unauthorized");
    let noa = one.sign_in("noa", "correct horse").await;
    dana.put(&path_of(&noa), &json!({ "password": "another horse" })).await.ok();
    refused(&noa.get("/api/auth/me").await, 401, "unauthorized");
    refused(&log_in(&one, "noa", "correct horse").await, 401, "unauthorized");
    one.sign_in("noa", "another horse").await;
}

#[tokio::test]
async fn an_employee_that_is_sent_again_is_made_once() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let noa = new("noa", json!({}));
    let first = dana.keyed("hire", Method::POST, "/api/employees", Some(&noa)).await.ok();
    let second = dana.keyed("hire", Method::POST, "/api/employees", Some(&noa)).await.ok();
    assert_eq!(first, second);
    // The answer got lost with the process.
    sqlx::query("delete from idempotency_keys").execute(&app.database.pool).await.expect("no answers");
    let lost = dana.keyed("hire", Method::POST, "/api/employees", Some(&noa)).await;
    refused(&lost, 409, "idempotency_outcome_unknown");
    assert_eq!(dana.get("/api/employees").await.ok().as_array().map(Vec::len), Some(1));
}
