//! As it was: what a detail shows for a point is what it showed live when nothing later had happened.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::{drawflow, echo};
use tests::templates::{hebrew, hebrew_with};

use super::refused;
use crate::projections::history::{forget, projections};

const PHONE: &str = "+972501230001";

/// A conversation with a run that waits and ends, messages both ways, a person; a lead; flows, one of them deleted; a
/// template in two languages, one of them deleted. What nobody folds any more: the process that comes after it only
/// answers.
async fn lived() -> (TestApp, SignedIn, Vec<String>) {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let flow = dana.has_line().await.has_flow("Ask", &asking()).await;
    let gone = dana.has_flow("Gone", &echo()).await;
    dana.put(&format!("/api/flows/{flow}"), &json!({ "name": "Renamed", "status": "paused" })).await.ok();
    dana.put(&format!("/api/flows/{flow}"), &json!({ "status": "active" })).await.ok();
    dana.delete(&format!("/api/flows/{gone}")).await.ok();
    let lead = format!("/api/leads/{PHONE}");
    dana.post("/api/leads", &json!({ "phone": PHONE, "name": "Noa", "tags": ["a"], "fields": { "n": 1.5e3 } }))
        .await
        .ok();
    dana.put(&lead, &json!({ "status": "won", "removeTags": ["a"], "fields": { "n": null, "m": "x" } })).await.ok();
    for (n, text) in ["hello", "blue", "again"].into_iter().enumerate() {
        app.customer_does(PHONE, &json!({ "phoneNumberId": tests::app::LINE, "text": text, "name": "Noa" })).await;
        app.wait_for_answers(PHONE, n + 1).await;
    }
    let appointment = json!({ "serviceName": "Cut", "start": "2031-03-04T10:00:00Z", "durationMinutes": 30, "timezone": "UTC",
                              "resourceId": "chair", "customerName": "Noa", "phone": PHONE, "notes": "by the window" });
    let appointment = dana.post("/api/calendar/appointments", &appointment).await.ok()["id"].clone();
    for change in [
        json!({ "action": "confirm" }),
        json!({ "action": "reschedule", "start": "2031-03-05T10:00:00Z" }),
        json!({ "action": "cancel", "reason": "rain" }),
    ] {
        let mut change = change;
        change["id"] = appointment.clone();
        dana.put("/api/calendar/appointments", &change).await.ok();
    }
    let row = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    for action in ["claim", "release", "close", "reopen"] {
        dana.put(&path, &json!({ "action": action })).await.ok();
    }
    dana.submits(&hebrew("ours")).await;
    app.meta_decides("ours", &json!({ "event": "APPROVED" })).await;
    let template = dana.template_is("ours", "status", "APPROVED").await;
    dana.put("/api/templates", &json!({ "id": template["id"], "isWorkApproved": false })).await.ok();
    dana.submits(&hebrew_with("ours", json!({ "language": "en_US" }))).await;
    dana.delete("/api/templates/ours?language=en_US").await.ok();
    dana.put("/api/templates", &json!({ "id": template["id"], "isWorkApproved": true })).await.ok();
    eventually("everything read", async || {
        let shown = dana.get(&path).await.ok();
        let sent = shown["messages"].as_array()?.iter().filter(|it| it["direction"] == "outbound").cloned();
        (sent.collect::<Vec<_>>().iter().all(|it| it["status"] == "read")).then_some(())
    })
    .await;
    let database = app.stop().await;
    forget(&database.pool).await;
    let api = Options { roles: Some("api".to_owned()), ..Options::default() };
    let app = TestApp::on(database, api, RateLimits::lifted()).await;
    let dana = app.sign_in("dana", "correct horse").await;
    let template = "/api/templates/ours".to_owned();
    let appointment = format!("/api/calendar/appointments/{}", appointment.as_str().expect("an id"));
    let flows = [flow, gone].map(|flow| format!("/api/flows/{flow}"));
    let [flow, gone] = flows;
    (app, dana, vec![path, lead, flow, gone, template, appointment])
}

fn asking() -> Value {
    drawflow(&[
        ("1", "trigger_message", json!({ "keywords": [] }), &["2"]),
        ("2", "ask", json!({ "text": "Which colour?", "saveAs": "colour" }), &["3"]),
        ("3", "send_text", json!({ "text": "{{colour}} it is" }), &[]),
    ])
}

/// What a detail answers: its status and body.
async fn shown(dana: &SignedIn, path: &str) -> (u16, Value) {
    let answer = dana.get(path).await;
    (answer.status.as_u16(), answer.body)
}

async fn log(dana: &SignedIn, many: i64) -> Vec<Value> {
    eventually("the whole log", async || {
        let log = dana.get("/api/audit/events?limit=200").await.ok();
        log.as_array().filter(|all| all.len() as i64 == many).cloned()
    })
    .await
}

#[tokio::test]
async fn every_point_shows_what_was_live_then() {
    let (app, dana, paths) = lived().await;
    let pool = &app.database.pool;
    let many = sqlx::query_scalar("select count(*) from events").fetch_one(pool).await.expect("a count");
    let log = log(&dana, many).await;
    assert!(log.len() > 35, "{}", log.len());
    // Event by event, as a projection would show it that had folded exactly so much.
    let one_by_one = projections(pool, 1);
    let mut live: Vec<Vec<(u16, Value)>> = Vec::new();
    for n in 1..=many {
        for projection in &one_by_one {
            eventually("one more event", async || {
                let done = "select events_done from projections where name = $1";
                let done: i64 =
                    sqlx::query_scalar(done).bind(projection.name()).fetch_one(pool).await.expect("a count");
                if done < n {
                    projection.turn(pool).await.expect("a turn");
                }
                (done == n).then_some(())
            })
            .await;
        }
        let mut now = Vec::new();
        for path in &paths {
            now.push(shown(&dana, path).await);
        }
        live.push(now);
    }
    let statuses = |n: usize| -> Vec<u16> { live.iter().map(|all| all[n].0).collect() };
    // The log begins with the first flow.
    for n in [0, 1, 3] {
        assert!(statuses(n).contains(&404) && statuses(n).contains(&200), "{} begins in between", paths[n]);
    }
    assert_eq!(statuses(3).last(), Some(&404), "the flow was deleted");
    let mut of_the_name = statuses(4);
    of_the_name.dedup();
    assert_eq!(of_the_name, [404, 200, 400, 200], "none, one, two languages, one that is left");
    for (n, event) in log.iter().enumerate() {
        let (position, at) = (event["position"].as_str().expect("one"), event["at"].as_str().expect("one"));
        // Several events may be shown with one time: then all of them are in.
        let by_then = log.iter().rposition(|other| other["at"].as_str() <= Some(at)).expect("at least this");
        for (path, (by_position, by_time)) in paths.iter().zip(live[n].iter().zip(&live[by_then])) {
            assert_eq!(
                &shown(&dana, &format!("{path}?at={position}")).await,
                by_position,
                "{path} at {position}, {event}"
            );
            assert_eq!(&shown(&dana, &format!("{path}?at={at}")).await, by_time, "{path} at {at}, {event}");
        }
    }
    for (n, path) in paths.iter().enumerate() {
        refused(&dana.get(&format!("{path}?at=2001-01-01T00:00:00Z")).await, 404, "not_found");
        let later = shown(&dana, &format!("{path}?at=2101-01-01T00:00:00%2B02:00")).await;
        assert_eq!(Some(&later), live.last().map(|all| &all[n]));
        for wrong in ["yesterday", "42", "2026-01-31", ""] {
            refused(&dana.get(&format!("{path}?at={wrong}")).await, 400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn messages_of_the_past_come_in_pages_and_strangers_see_nothing() {
    let (app, dana, paths) = lived().await;
    let mallory = app.account("mallory").await;
    let path = &paths[0];
    let history = dana.get(&format!("{}/history?limit=200", path)).await.ok();
    let closed =
        history.as_array().expect("events").iter().find(|it| it["type"] == "conversation.closed").expect("one");
    let at = closed["position"].as_str().expect("one");
    let whole = dana.get(&format!("{path}?at={at}")).await.ok();
    assert_eq!((&whole["status"], &whole["windowOpen"]), (&json!("closed"), &json!(true)));
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = dana.get(&format!("{path}?at={at}&limit=2{cursor}")).await;
        let next = page.header("x-next-cursor").map(str::to_owned);
        let rows = page.ok()["messages"].as_array().expect("messages").clone();
        paged.splice(0..0, rows);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(paged.len() >= 6, "{}", paged.len());
    assert_eq!(json!(paged), whole["messages"]);
    for path in &paths {
        refused(&mallory.get(&format!("{path}?at={at}")).await, 404, "not_found");
    }
}
