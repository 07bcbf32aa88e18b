//! Histories: everything that happened, in order, in pages and as lines.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::echo;
use uuid::Uuid;

use super::refused;

const PHONE: &str = "+972501230001";

/// An account that has lived a little: a flow, a lead, a conversation whose last message was read.
async fn lived(app: &TestApp) -> (SignedIn, String) {
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    dana.post("/api/leads", &json!({ "phone": PHONE, "name": "Noa", "fields": { "n": 1 } })).await.ok();
    for (n, text) in ["one", "two"].into_iter().enumerate() {
        app.customer_does(PHONE, &json!({ "phoneNumberId": tests::app::LINE, "text": text, "name": "Noa" })).await;
        app.wait_for_answers(PHONE, n + 1).await;
    }
    let row = dana.conversation_with(PHONE).await;
    let path = format!("/api/conversations/{}", row["id"].as_str().expect("an id"));
    eventually("everything read", async || {
        (dana.get(&format!("{path}?stats=true")).await.ok()["messages"]
            .as_array()?
            .iter()
            .all(|it| it["direction"] == "inbound" || it["status"] == "read"))
        .then_some(())
    })
    .await;
    dana.put(&path, &json!({ "action": "claim" })).await.ok();
    // The log shows what nothing can come before; a transaction elsewhere may hold that back for a moment.
    let all = "select count(*) from events where tenant_id = $1";
    let all: i64 = sqlx::query_scalar(all).bind(&dana.id).fetch_one(&app.database.pool).await.expect("a count");
    eventually("the whole log", async || {
        (dana.get("/api/audit/events?limit=200").await.ok().as_array()?.len() as i64 == all).then_some(())
    })
    .await;
    (dana, row["id"].as_str().expect("an id").to_owned())
}

async fn rows(dana: &SignedIn, path: &str) -> Vec<Value> {
    dana.get(path).await.ok().as_array().expect("an array").clone()
}

/// Every page, and how many there were.
async fn paged(dana: &SignedIn, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer =
            dana.get(&format!("{path}{}limit={limit}{cursor}", if path.contains('?') { '&' } else { '?' })).await;
        let next = answer.header("x-next-cursor").map(str::to_owned);
        let page = answer.ok();
        let page = page.as_array().expect("an array");
        assert!(page.len() == limit || next.is_none(), "a short page in the middle");
        all.extend(page.iter().cloned());
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn lines(dana: &SignedIn, path: &str) -> Vec<Value> {
    let response = dana.lines(path).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.expect("a whole answer");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[tokio::test]
async fn a_history_tells_everything_that_was_recorded_in_order() {
    let app = TestApp::start().await;
    let (dana, id) = lived(&app).await;
    let history = rows(&dana, &format!("/api/conversations/{id}/history?limit=200")).await;
    assert_eq!(rows(&dana, &format!("/api/audit/conversation/{id}/events?limit=200")).await, history);
    let stored = "select sequence, event_type, event_version, event_id::text, (recorded_at at time zone 'utc')::text as at,
                         log_epoch || '-' || transaction_id || '-' || global_position as position, metadata ->> 'actor' as actor,
                         metadata ->> 'correlationId' as correlation, payload::text as payload
                    from events where aggregate_type = 'conversation' and aggregate_id = $1 order by sequence";
    let stored =
        sqlx::query(stored).bind(format!("{}/{id}", dana.id)).fetch_all(&app.database.pool).await.expect("rows");
    assert!(history.len() > 15 && history.len() == stored.len(), "{}", history.len());
    for (n, (shown, row)) in history.iter().zip(&stored).enumerate() {
        let text = |name: &str| sqlx::Row::get::<String, _>(row, name);
        assert_eq!(shown["sequence"], json!(n + 1));
        assert_eq!((&shown["aggregate"], &shown["id"]), (&json!("conversation"), &json!(id)));
        assert_eq!(shown["position"], json!(text("position")));
        assert_eq!((&shown["type"], &shown["version"]), (&json!(text("event_type")), &json!(text("event_version"))));
        assert_eq!((&shown["eventId"], &shown["actor"]), (&json!(text("event_id")), &json!(text("actor"))));
        assert_eq!(shown["correlationId"], json!(text("correlation")));
        let at = shown["at"].as_str().expect("a time");
        assert_eq!(at.trim_end_matches('Z').replace('T', " "), format!("{:0<23}", text("at"))[..23], "{at}");
        assert!(shown.get("erased").is_none() && shown.get("unreadable").is_none());
        assert!(!shown["payload"].to_string().contains("$sealed"), "{shown}");
        assert_eq!(
            shown["payload"]["type"],
            shown["type"].as_str().and_then(|kind| kind.split_once('.')).expect("a tag").1
        );
    }
    let received = history.iter().find(|it| it["type"] == "conversation.message_received").expect("a message");
    assert_eq!((&received["payload"]["message"]["text"], &received["actor"]), (&json!("one"), &json!("customer")));
    let claimed = history.last().expect("the last");
    assert_eq!(
        (&claimed["type"], &claimed["actor"]),
        (&json!("conversation.claimed"), &json!(format!("user:{}", dana.id)))
    );
}

#[tokio::test]
async fn pages_and_lines_are_the_same_whole_whatever_is_asked_for() {
    let app = TestApp::start().await;
    let (dana, id) = lived(&app).await;
    let log = rows(&dana, "/api/audit/events?limit=200").await;
    let kinds: BTreeSet<&str> = log.iter().filter_map(|it| it["aggregate"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["conversation", "flow", "lead"]));
    let middle = &log[log.len() / 2];
    let (position, time) = (middle["position"].as_str().expect("one"), middle["at"].as_str().expect("one"));
    let user = format!("user:{}", dana.id);
    let from = |it: &Value| log.iter().position(|other| other == it) >= log.iter().position(|other| other == middle);
    let kind = |it: &Value, kind: &str| it["type"] == kind;
    type Wanted<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let questions: Vec<(String, Wanted<'_>)> = vec![
        (String::new(), Box::new(|_| true)),
        ("type=lead.captured".into(), Box::new(|it| kind(it, "lead.captured"))),
        (
            "type=conversation.started,flow.created&type=lead.captured".into(),
            Box::new(|it| ["conversation.started", "flow.created", "lead.captured"].iter().any(|word| kind(it, word))),
        ),
        (format!("actor={user}"), Box::new(|it| it["actor"] == json!(user))),
        (
            "actor=customer&type=conversation.message_received".into(),
            Box::new(|it| kind(it, "conversation.message_received")),
        ),
        (format!("from={position}"), Box::new(from)),
        (format!("to={position}"), Box::new(|it| !from(it) || it == middle)),
        (format!("from={position}&to={position}"), Box::new(|it| it == middle)),
        (format!("from={time}"), Box::new(|it| it["at"].as_str() >= Some(time))),
        (format!("to={time}"), Box::new(|it| it["at"].as_str() <= Some(time))),
        ("type=nothing.of_the_kind".into(), Box::new(|_| false)),
    ];
    let history = format!("/api/conversations/{id}/history");
    let stream: Vec<Value> = log.iter().filter(|it| it["id"] == json!(id)).cloned().collect();
    for (path, whole) in [("/api/audit/events", &log), (history.as_str(), &stream)] {
        for (question, wanted) in &questions {
            for (order, newest_first) in [("asc", false), ("desc", true)] {
                let mut expected: Vec<Value> = whole.iter().filter(|it| wanted(it)).cloned().collect();
                if newest_first {
                    expected.reverse();
                }
                let path = format!("{path}?order={order}&{question}");
                assert_eq!(rows(&dana, &format!("{path}&limit=200")).await, expected, "{path}");
                assert_eq!(paged(&dana, &path, 7).await, expected, "{path} in pages");
                assert_eq!(lines(&dana, &path).await, expected, "{path} as lines");
            }
        }
    }
    // Lines go on from a cursor, too.
    let cursor = dana.get("/api/audit/events?limit=5").await.header("x-next-cursor").expect("more").to_owned();
    assert_eq!(lines(&dana, &format!("/api/audit/events?cursor={cursor}")).await, log[5..]);
}

#[tokio::test]
async fn what_is_not_there_or_not_asked_well_is_refused() {
    let app = TestApp::start().await;
    let (dana, id) = lived(&app).await;
    let mallory = app.account("mallory").await;
    let nobodys = Uuid::new_v4();
    for path in [
        format!("/api/conversations/{nobodys}/history"),
        format!("/api/templates/{id}/history"),
        format!("/api/audit/flow/{id}/events"),
        format!("/api/audit/appointment/{nobodys}/events"),
        format!("/api/audit/secret/{id}/events"),
        "/api/audit/conversation/7/events".to_owned(),
    ] {
        refused(&dana.get(&path).await, 404, "not_found");
        let answer = dana.lines(&path).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap_or_default()),
            (404, "application/json; charset=utf-8")
        );
    }
    refused(&mallory.get(&format!("/api/conversations/{id}/history")).await, 404, "not_found");
    refused(&mallory.get(&format!("/api/audit/conversation/{id}/events")).await, 404, "not_found");
    assert_eq!(rows(&mallory, "/api/audit/events").await, [] as [Value; 0]);
    assert_eq!(lines(&mallory, "/api/audit/events").await, [] as [Value; 0]);
    for wrong in ["cursor=zz", "cursor=317e61", "from=yesterday", "to=2026-01-31", "order=up", "limit=0", "limit=201"] {
        refused(&dana.get(&format!("/api/audit/events?{wrong}")).await, 400, "invalid_request");
        refused(&dana.get(&format!("/api/conversations/{id}/history?{wrong}")).await, 400, "invalid_request");
    }
    assert_eq!(dana.lines("/api/audit/events?cursor=zz").await.status().as_u16(), 400);
    refused(&app.call(reqwest::Method::GET, "/api/audit/events", None, &[]).await, 401, "unauthorized");
}

#[tokio::test]
async fn what_an_erased_contact_leaves_says_so() {
    let app = TestApp::start().await;
    let (dana, id) = lived(&app).await;
    let path = format!("/api/conversations/{id}");
    let contact = dana.get(&path).await.ok()["contactId"].as_str().expect("an id").to_owned();
    dana.delete(&format!("/api/contacts/{contact}/personal-data")).await.ok();
    let history = rows(&dana, &format!("{path}/history?limit=200")).await;
    assert_eq!(lines(&dana, &format!("{path}/history")).await, history);
    let received: Vec<&Value> = history.iter().filter(|it| it["type"] == "conversation.message_received").collect();
    assert!(received.len() == 2 && received.iter().all(|it| it["erased"] == true), "{received:?}");
    let all = json!(history).to_string();
    for said in ["\"one\"", "echo one", "Noa", &PHONE[1..], "$sealed"] {
        assert!(!all.contains(said), "{said} in {all}");
    }
    assert_eq!(history.last().expect("the last")["type"], "conversation.contact_erased");
    refused(
        &dana.get(&format!("/api/leads/{PHONE}?at={}", history[0]["at"].as_str().expect("one"))).await,
        404,
        "not_found",
    );
}
