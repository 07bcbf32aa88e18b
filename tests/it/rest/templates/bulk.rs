//! One template to many customers.

use std::time::{Duration, Instant};

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::graph::Graph;
use tests::webhook::envelope;
use uuid::Uuid;

use super::sending::{message, talks, with_group};
use crate::rest::refused;

const BULK: &str = "/api/templates/bulk-send";

fn phones(many: usize) -> Vec<String> {
    (0..many).map(|n| format!("+9725010{n:05}")).collect()
}

/// Starts a bulk send; the answer.
pub async fn start(dana: &SignedIn, body: &Value) -> Value {
    let answer = dana.post(BULK, body).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    answer.body
}

pub async fn shown(dana: &SignedIn, id: &str) -> Value {
    dana.get(&format!("{BULK}?id={id}")).await.ok()["bulkSends"][0].clone()
}

/// Waits until a bulk send is so.
pub async fn bulk_is(dana: &SignedIn, id: &str, so: impl Fn(&Value) -> bool) -> Value {
    let (begun, mut last) = (Instant::now(), Value::Null);
    while begun.elapsed() < Duration::from_secs(60) {
        last = shown(dana, id).await;
        if so(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {last}");
}

pub fn id(made: &Value) -> String {
    made["bulkSendId"].as_str().expect("an id").to_owned()
}

/// The line sends so many messages a second from now on.
pub async fn line_sends(dana: &SignedIn, per_second: u32) {
    let line = json!({ "phoneNumberId": LINE, "wabaId": tests::templates::WABA, "accessToken": "sandbox-token",
                       "displayPhoneNumber": "+1 555 000 1111", "isPrimary": true, "messagesPerSecond": per_second });
    dana.post("/api/settings/whatsapp", &line).await.ok();
}

#[tokio::test]
async fn a_template_goes_from_approval_to_a_group_to_many_customers_whose_answers_go_on_in_a_flow() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["appointment_set"], "preferred_then_others").await;
    let flow = dana.has_flow("Out", &talks()).await;
    let to = phones(25);
    let body =
        json!({ "templateGroupId": group, "phones": to, "flowId": flow, "templateParams": ["שרה", "28/05", "10:00"] });
    let made = start(&dana, &body).await;
    assert_eq!((&made["queued"], &made["skipped"], &made["phoneNumberId"]), (&json!(25), &json!([]), &json!(LINE)));
    let done = bulk_is(&dana, &id(&made), |it| it["read"] == 25).await;
    assert_eq!((&done["status"], &done["total"], &done["waiting"]), (&json!("completed"), &json!(25), &json!(0)));
    let first = dana.get(&format!("{BULK}/recipients?id={}&limit=20", id(&made))).await;
    let rows = first.clone().ok();
    assert_eq!(
        (rows.as_array().expect("rows").len(), &rows[0]["phone"], &rows[0]["status"]),
        (20, &json!(to[0]), &json!("read"))
    );
    let cursor = first.header("x-next-cursor").expect("a second page").to_owned();
    let second = dana.get(&format!("{BULK}/recipients?id={}&limit=20&cursor={cursor}", id(&made))).await.ok();
    assert_eq!(second.as_array().expect("rows").len(), 5);
    for phone in &to {
        let got = app.answers(phone).await;
        assert!(got.len() == 1 && got[0].contains("appointment_set") && got[0].contains("שרה"), "{phone}: {got:?}");
    }
    app.customer_writes(&to[7], "כן").await;
    let got = app.wait_for_answers(&to[7], 2).await;
    assert!(got[1].contains("Code"), "{got:?}");
    // All of it replays.
    let sent = message(&dana, &to[7], |it| it["bulkSendId"] == made["bulkSendId"]).await;
    assert_eq!(sent["why"][0]["chosen"], "appointment_set");
    let conversation = dana.conversation_with(&to[7]).await["id"].as_str().expect("an id").to_owned();
    let history = dana.get(&format!("/api/conversations/{conversation}/history")).await.ok();
    let kinds: Vec<&str> = history.as_array().expect("events").iter().filter_map(|it| it["type"].as_str()).collect();
    for kind in
        ["flow_run_started", "message_queued", "template_chosen", "message_read", "message_received", "flow_run_ended"]
    {
        assert!(kinds.contains(&format!("conversation.{kind}").as_str()), "{kind}: {kinds:?}");
    }
    let entries = dana.get("/api/audit/entries?action=bulk_send.started").await.ok();
    assert!(entries.to_string().contains(&id(&made)), "{entries}");
}

#[tokio::test]
async fn who_is_passed_over_is_named_with_the_reason_and_opting_out_is_always_honoured() {
    let app = TestApp::start().await;
    let (dana, _) = with_group(&app, &["first"], "random").await;
    let to = phones(6);
    let made = start(&dana, &json!({ "templateName": "first", "phones": [to[0], to[1]] })).await;
    bulk_is(&dana, &id(&made), |it| it["read"] == 2).await;
    // Two ways of saying no: Meta tells of a preference, or refuses with 131050.
    let no = json!({ "metadata": { "phone_number_id": LINE, "display_phone_number": "1" }, "user_preferences":
        [{ "wa_id": &to[2][1..], "category": "marketing_messages", "value": "stop", "timestamp": 1_767_225_600 }] });
    let mut webhook = envelope(&no);
    webhook["entry"][0]["changes"][0]["field"] = json!("user_preferences");
    app.deliver(&webhook).await.ok();
    let unwilling = "+15569131050";
    let made = start(&dana, &json!({ "templateName": "first", "phones": [unwilling] })).await;
    bulk_is(&dana, &id(&made), |it| it["failed"] == 1).await;
    eventually("two who want nothing", async || {
        let count: i64 = sqlx::query_scalar("select count(*) from opt_outs where is_out")
            .fetch_one(&app.database.pool)
            .await
            .ok()?;
        (count == 2).then_some(())
    })
    .await;
    let again = json!([to[0], to[1], to[2], to[3], to[3], "0501234567", unwilling, to[4]]);
    let made = start(&dana, &json!({ "templateName": "first", "phones": again })).await;
    let mut skipped: Vec<(String, String)> = made["skipped"]
        .as_array()
        .expect("skipped")
        .iter()
        .map(|it| {
            (it["phone"].as_str().unwrap_or_default().to_owned(), it["reason"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    skipped.sort();
    let mut expected: Vec<(String, String)> = [
        (to[0].as_str(), "already_sent"),
        (&to[1], "already_sent"),
        (&to[2], "opted_out"),
        (&to[3], "duplicate"),
        ("0501234567", "invalid_phone"),
        (unwilling, "opted_out"),
    ]
    .map(|(phone, reason)| (phone.to_owned(), reason.to_owned()))
    .to_vec();
    expected.sort();
    assert_eq!((skipped, &made["queued"]), (expected, &json!(2)));
    bulk_is(&dana, &id(&made), |it| it["read"] == 2 && it["status"] == "completed").await;
    let forced = start(&dana, &json!({ "templateName": "first", "phones": [to[0], to[2]], "forceSend": true })).await;
    assert_eq!(forced["skipped"], json!([{ "phone": to[2], "reason": "opted_out" }]));
    bulk_is(&dana, &id(&forced), |it| it["read"] == 1).await;
    assert_eq!(app.answers(&to[2]).await, Vec::<String>::new());
    assert_eq!(app.answers(&to[0]).await.len(), 2);
    // Who takes them again gets them again; news of before change nothing.
    for (value, at) in [("resume", 1_767_225_700), ("stop", 1_767_225_650)] {
        let mut webhook = webhook.clone();
        let preference = &mut webhook["entry"][0]["changes"][0]["value"]["user_preferences"][0];
        (preference["value"], preference["timestamp"]) = (json!(value), json!(at));
        app.deliver(&webhook).await.ok();
    }
    eventually("one who wants nothing", async || {
        let count: i64 = sqlx::query_scalar("select count(*) from opt_outs where is_out")
            .fetch_one(&app.database.pool)
            .await
            .ok()?;
        (count == 1).then_some(())
    })
    .await;
    let made = start(&dana, &json!({ "templateName": "first", "phones": [to[2]] })).await;
    bulk_is(&dana, &id(&made), |it| it["read"] == 1).await;
}

#[tokio::test]
async fn the_list_is_as_long_as_it_can_be_counted_at_once() {
    let app = TestApp::start().await;
    let (dana, _) = with_group(&app, &["first"], "random").await;
    let made = start(&dana, &json!({ "templateName": "first", "phones": phones(2) })).await;
    let older = "insert into bulk_sends (id, tenant_id, plan, line, state, total, created_by, created_at)
                 select gen_random_uuid(), tenant_id, plan, line, 'completed', 60000, created_by,
                        created_at - n * interval '1 hour'
                   from bulk_sends cross join generate_series(1, 3) as n";
    sqlx::query(older).execute(&app.database.pool).await.expect("large ones");
    let list = dana.get(BULK).await.ok();
    let totals: Vec<_> = list["bulkSends"].as_array().expect("a list").iter().map(|it| it["total"].clone()).collect();
    assert_eq!(totals, [2, 60_000, 60_000]);
    assert_eq!(shown(&dana, &id(&made)).await["total"], 2);
}

#[tokio::test]
async fn what_may_not_be_sent_to_many_is_refused_and_nobody_is_queued() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first"], "random").await;
    let offer = json!({ "category": "MARKETING", "nonUtilityOverride": true, "nonUtilityOverrideReason": "spring sale, agreed" });
    dana.submits(&tests::templates::hebrew_with("offer", offer)).await;
    app.meta_decides("offer", &json!({ "event": "APPROVED" })).await;
    dana.template_is("offer", "status", "APPROVED").await;
    let to = phones(2);
    let marketing = dana.post(BULK, &json!({ "templateName": "offer", "phones": to })).await;
    refused(&marketing, 409, "template_unavailable");
    assert!(marketing.text.contains("allowMarketing"), "{}", marketing.text);
    let both = json!({ "templateName": "first", "templateGroupId": group, "phones": to });
    refused(&dana.post(BULK, &both).await, 400, "invalid_request");
    refused(&dana.post(BULK, &json!({ "phones": to })).await, 400, "invalid_request");
    refused(&dana.post(BULK, &json!({ "templateName": "first", "phones": [] })).await, 400, "invalid_request");
    refused(&dana.post(BULK, &json!({ "templateName": "first", "phones": ["050"] })).await, 400, "invalid_request");
    let nobodys = json!({ "templateGroupId": Uuid::new_v4(), "phones": to });
    refused(&dana.post(BULK, &nobodys).await, 400, "template_unknown");
    let no_line = json!({ "templateName": "first", "phones": to, "phoneNumberId": "9" });
    refused(&dana.post(BULK, &no_line).await, 400, "invalid_request");
    let no_flow = json!({ "templateName": "first", "phones": to, "flowId": Uuid::new_v4() });
    refused(&dana.post(BULK, &no_flow).await, 400, "invalid_request");
    assert_eq!(dana.get(BULK).await.ok()["bulkSends"], json!([]));
    refused(&dana.get(&format!("{BULK}?id={}", Uuid::new_v4())).await, 404, "not_found");
    let eve = app.account("eve").await;
    let made = start(&dana, &json!({ "templateName": "offer", "phones": to, "allowMarketing": true })).await;
    refused(&eve.get(&format!("{BULK}?id={}", id(&made))).await, 404, "not_found");
    refused(&eve.call(Method::DELETE, &format!("{BULK}?id={}", id(&made)), None).await, 404, "not_found");
    bulk_is(&dana, &id(&made), |it| it["read"] == 2).await;
}

#[tokio::test]
async fn a_pause_in_the_middle_of_120_sends_lets_the_rest_go_out_with_the_next_template() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first", "second"], "preferred_then_others").await;
    line_sends(&dana, 20).await;
    let made =
        start(&dana, &json!({ "templateGroupId": group, "phones": phones(120), "templateParams": ["a", "b", "c"] }))
            .await;
    bulk_is(&dana, &id(&made), |it| it["read"].as_u64() >= Some(5)).await;
    app.meta_decides("first", &json!({ "event": "PAUSED", "title": "FIRST_PAUSE" })).await;
    let done = bulk_is(&dana, &id(&made), |it| it["read"] == 120).await;
    assert_eq!((&done["failed"], &done["skipped"]), (&json!(0), &json!(0)));
    let mut by_template = std::collections::BTreeMap::<String, usize>::new();
    let mut cursor = String::new();
    loop {
        let page = dana.get(&format!("{BULK}/recipients?id={}&limit=200{cursor}", id(&made))).await;
        let next = page.header("x-next-cursor").map(|next| format!("&cursor={next}"));
        for row in page.ok().as_array().expect("rows") {
            *by_template.entry(row["templateName"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert!(by_template["first"] >= 5 && by_template["second"] >= 5, "{by_template:?}");
    let why: i64 = sqlx::query_scalar("select count(*) from message_view where jsonb_array_length(body -> 'why') > 0")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(why, 120, "each says why it went out with its template");
    let last = message(&dana, &phones(120)[119], |_| true).await;
    assert!(last["why"][0]["considered"][0]["passedOver"].as_str().is_some_and(|why| why.contains("PAUSED")), "{last}");
}

#[tokio::test]
async fn cancelling_stops_within_one_claim_and_tells_who_got_nothing() {
    let app = TestApp::start().await;
    let (dana, _) = with_group(&app, &["first"], "random").await;
    line_sends(&dana, 40).await;
    let made = start(&dana, &json!({ "templateName": "first", "phones": phones(2_000) })).await;
    bulk_is(&dana, &id(&made), |it| it["read"].as_u64() >= Some(5)).await;
    let cancelled = dana.call(Method::DELETE, &format!("{BULK}?id={}", id(&made)), None).await.ok();
    assert_eq!(cancelled["status"], "cancelled");
    let handed_over = |it: &Value| {
        ["queued", "sent", "delivered", "read", "failed"].iter().filter_map(|word| it[word].as_u64()).sum::<u64>()
    };
    let before = handed_over(&cancelled);
    let after = bulk_is(&dana, &id(&made), |it| it["queued"] == 0 && it["sent"] == 0 && it["delivered"] == 0).await;
    assert!(handed_over(&after) <= before + 250, "{before} before, {after}");
    assert_eq!(handed_over(&after) + after["skipped"].as_u64().expect("a count"), 2_000);
    let row = dana.get(&format!("{BULK}/recipients?id={}&state=waiting&limit=1", id(&made))).await.ok();
    assert_eq!((&row[0]["status"], &row[0]["reason"]), (&json!("skipped"), &json!("cancelled")));
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nobody_and_writes_to_nobody_twice() {
    let graph = Graph::start().await;
    let options = || Options { meta_graph_url: Some(graph.url.clone()), ..Options::default() };
    let app = TestApp::start_with(options(), RateLimits::lifted()).await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    line_sends(&dana, 30).await;
    let made = start(&dana, &json!({ "templateName": "hello", "templateLanguage": "he", "phones": phones(150) })).await;
    eventually("some of them", async || (graph.taken().len() >= 20).then_some(())).await;
    let app = TestApp::on(app.stop().await, options(), RateLimits::lifted()).await;
    let dana = app.sign_in("dana", "correct horse").await;
    bulk_is(&dana, &id(&made), |it| it["status"] == "completed" && it["sent"] == 150).await;
    let mut got: Vec<String> = graph.taken().into_iter().map(|call| call.to).collect();
    got.sort();
    assert_eq!(got, phones(150));
}
