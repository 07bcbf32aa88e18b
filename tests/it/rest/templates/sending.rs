//! Templates that open a conversation, and what happens when Meta refuses one.

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::drawflow;
use tests::templates::hebrew;
use tests::webhook::status;
use uuid::Uuid;

use crate::rest::refused;

const OUTBOUND: &str = "/api/webhook/outbound";
const PHONE: &str = "+972501234567";

/// An account with a line, templates of these names that Meta approved, and a group of them.
pub async fn with_group(app: &TestApp, names: &[&str], strategy: &str) -> (SignedIn, String) {
    let dana = app.account("dana").await;
    dana.has_line().await;
    for name in names {
        dana.submits(&hebrew(name)).await;
        app.meta_decides(name, &json!({ "event": "APPROVED" })).await;
        dana.template_is(name, "status", "APPROVED").await;
    }
    let members: Vec<Value> = names.iter().map(|name| json!({ "name": name, "language": "he" })).collect();
    let group = json!({ "name": "Bookings", "templates": members, "pickStrategy": strategy });
    let made = dana.post("/api/templates/groups", &group).await.ok();
    (dana, made["id"].as_str().expect("an id").to_owned())
}

pub fn talks() -> Value {
    drawflow(&[
        ("1", "trigger_outbound", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "Code {{code}}" }), &[]),
    ])
}

fn start(flow: &str, more: Value) -> Value {
    let data = json!({ "templateParams": ["123456", "Sunday"] });
    let mut body = json!({ "phone": PHONE, "flowId": flow, "queue": true, "data": data });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

/// Waits until the first message to this phone is so; the message.
pub async fn message(dana: &SignedIn, phone: &str, so: impl Fn(&Value) -> bool) -> Value {
    let id = dana.conversation_with(phone).await["id"].as_str().expect("an id").to_owned();
    eventually("the message", async || {
        let shown = dana.get(&format!("/api/conversations/{id}")).await.ok();
        shown["messages"].as_array()?.iter().find(|it| it["direction"] == "outbound").cloned().filter(&so)
    })
    .await
}

#[tokio::test]
async fn a_group_opens_a_closed_window_and_the_answer_goes_on_in_the_same_flow() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first", "second"], "preferred_then_others").await;
    let flow = dana.has_flow("Out", &talks()).await;
    dana.post(OUTBOUND, &start(&flow, json!({ "templateGroupId": group }))).await.ok();
    let shown = app.wait_for_answers(PHONE, 1).await;
    assert!(shown[0].contains("first") && shown[0].contains("123456"), "{shown:?}");
    let sent = message(&dana, PHONE, |it| it["why"][0]["chosen"] == "first").await;
    assert_eq!(sent["why"][0]["strategy"], "preferred_then_others");
    assert_eq!(sent["why"][0]["considered"], json!([{ "name": "first", "language": "he" }]));
    app.customer_writes(PHONE, "yes").await;
    let shown = app.wait_for_answers(PHONE, 2).await;
    assert!(shown[1].contains("Code 123456"), "{shown:?}");
    // The window is open now: the flow talks at once.
    dana.post(OUTBOUND, &start(&flow, json!({ "templateGroupId": group }))).await.ok();
    let shown = app.wait_for_answers(PHONE, 3).await;
    assert!(shown[2].contains("Code 123456") && !shown[2].contains("first"), "{shown:?}");
}

#[tokio::test]
async fn one_template_is_named_by_its_id_or_name_and_must_be_one_that_may_be_sent() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first"], "random").await;
    let flow = dana.has_flow("Out", &talks()).await;
    let row = dana.template("first").await.expect("a row");
    dana.post(OUTBOUND, &start(&flow, json!({ "templateId": row["id"] }))).await.ok();
    let shown = app.wait_for_answers(PHONE, 1).await;
    assert!(shown[0].contains("first") && shown[0].contains("\"he\""), "its language is known: {shown:?}");
    for unknown in [json!({ "templateId": Uuid::new_v4() }), json!({ "templateGroupId": Uuid::new_v4() })] {
        refused(&dana.post(OUTBOUND, &start(&flow, unknown)).await, 400, "template_unknown");
    }
    dana.put("/api/templates", &json!({ "id": row["id"], "isWorkApproved": false })).await.ok();
    for asked in
        [json!({ "templateId": row["id"] }), json!({ "templateGroupId": group }), json!({ "templateName": "first" })]
    {
        let body = start(&flow, asked);
        let mut body = body.clone();
        body["phone"] = json!("+972501234568");
        let answer = dana.post(OUTBOUND, &body).await;
        refused(&answer, 409, "template_unavailable");
        assert!(answer.text.contains("work approval"), "{}", answer.text);
    }
    assert_eq!(app.answers("+972501234568").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_template_refused_with_132015_gives_way_to_the_groups_next_one_and_is_passed_over_from_then_on() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["spring_132015", "summer"], "preferred_then_others").await;
    let flow = dana.has_flow("Out", &talks()).await;
    dana.post(OUTBOUND, &start(&flow, json!({ "templateGroupId": group }))).await.ok();
    let shown = app.wait_for_answers(PHONE, 1).await;
    assert!(shown[0].contains("summer") && shown[0].contains("123456"), "{shown:?}");
    let sent = message(&dana, PHONE, |it| it["status"] == "read").await;
    let why = json!([[0, null, "spring_132015"], [1, 132015, "summer"]]);
    let told: Vec<Value> = sent["why"]
        .as_array()
        .expect("decisions")
        .iter()
        .map(|it| json!([it["retry"], it["refusedWith"], it["chosen"]]))
        .collect();
    assert_eq!((json!(told), &sent["text"]), (why, &json!("summer")));
    assert!(
        sent["why"][1]["considered"].to_string().contains("132015")
            || sent["why"][1]["considered"][0]["name"] == "summer"
    );
    dana.template_is("spring_132015", "sendable", false).await;
    // The flow waits behind it all the same.
    app.customer_writes(PHONE, "yes").await;
    assert!(app.wait_for_answers(PHONE, 2).await[1].contains("Code 123456"));
    let mut body = start(&flow, json!({ "templateGroupId": group }));
    body["phone"] = json!("+972501234569");
    dana.post(OUTBOUND, &body).await.ok();
    let next = message(&dana, "+972501234569", |it| it["status"] == "read").await;
    let passed = &next["why"][0]["considered"][0];
    assert_eq!((&next["why"][0]["chosen"], &passed["name"]), (&json!("summer"), &json!("spring_132015")));
    // A person may have it tried again.
    let id = dana.template("spring_132015").await.expect("a row")["id"].clone();
    dana.put("/api/templates", &json!({ "id": id, "isWorkApproved": true })).await.ok();
    dana.template_is("spring_132015", "sendable", true).await;
}

#[tokio::test]
async fn each_template_of_a_group_is_tried_once_and_then_the_message_has_failed() {
    let app = TestApp::start().await;
    // 132012 is about the parameters of this message: nobody else's sends are stopped.
    let (dana, group) = with_group(&app, &["a_132012", "b_132012", "c_132012"], "round_robin").await;
    let flow = drawflow(&[
        ("1", "trigger_outbound", json!({ "requireTemplateWhenWindowClosed": false }), &["2"]),
        ("2", "send_template", json!({ "templateGroupId": group, "params": ["1", "2"] }), &["", "3"]),
        ("3", "end", json!({ "outcome": "completed" }), &[]),
    ]);
    let flow = dana.has_flow("Sends", &flow).await;
    dana.post(OUTBOUND, &start(&flow, json!({}))).await.ok();
    let failed =
        message(&dana, PHONE, |it| it["status"] == "failed" && it["why"].as_array().is_some_and(|it| it.len() == 4))
            .await;
    let chosen: Vec<&Value> = failed["why"].as_array().expect("decisions").iter().map(|it| &it["chosen"]).collect();
    assert_eq!(json!(chosen), json!(["a_132012", "b_132012", "c_132012", null]));
    assert_eq!((&failed["retries"], &failed["error"]["code"]), (&json!(2), &json!(132_012)));
    let id = dana.conversation_with(PHONE).await["id"].as_str().expect("an id").to_owned();
    let history = dana.get(&format!("/api/conversations/{id}/history?limit=200")).await.ok();
    let count = |kind: &str| history.as_array().expect("events").iter().filter(|it| it["type"] == kind).count();
    assert_eq!(count("conversation.message_failed"), 3);
    assert_eq!(count("conversation.flow_run_ended"), 1, "the run left by `failed` once all were refused");
    assert_eq!(dana.template("a_132012").await.expect("a row")["sendable"], true);
    assert_eq!(app.answers(PHONE).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_status_told_five_times_at_once_tries_the_next_template_once() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first", "second"], "preferred_then_others").await;
    let flow = dana.has_flow("Out", &talks()).await;
    dana.post(OUTBOUND, &start(&flow, json!({ "templateGroupId": group }))).await.ok();
    app.wait_for_answers(PHONE, 1).await;
    let sent = message(&dana, PHONE, |it| it["providerMessageId"].is_string() && it["status"] == "read").await;
    let wamid = sent["providerMessageId"].as_str().expect("a wamid").to_owned();
    // It arrived: a refusal told late overrides nothing.
    let mut failed = status(&wamid, &PHONE[1..], "failed", None);
    failed["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"] =
        json!([{ "code": 132_015, "title": "paused" }]);
    app.deliver(&failed).await.ok();
    eventually("the late failure", async || (app.events("conversation.message_failed_late").await == 1).then_some(()))
        .await;
    assert_eq!((app.events("conversation.template_chosen").await, app.answers(PHONE).await.len()), (1, 1));
    // A number whose messages are accepted and then fail, whatever the template.
    let mut body = start(&flow, json!({ "templateGroupId": group }));
    body["phone"] = json!("+15569132012");
    dana.post(OUTBOUND, &body).await.ok();
    let failed = message(&dana, "+15569132012", |it| it["why"].as_array().is_some_and(|it| it.len() == 3)).await;
    assert_eq!((&failed["why"][1]["chosen"], &failed["why"][2]["chosen"]), (&json!("second"), &Value::Null));
    assert_eq!(app.answers("+15569132012").await.len(), 2, "each was sent once");
    let copies = (0..5).map(|_| {
        let told = failed.clone();
        let app = &app;
        async move {
            let wamid = told["providerMessageId"].as_str().unwrap_or_default().to_owned();
            let mut again = status(&wamid, "15569132012", "failed", None);
            again["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"] =
                json!([{ "code": 132_012, "title": "no" }]);
            app.deliver(&again).await.ok();
        }
    });
    futures::future::join_all(copies).await;
    assert_eq!(app.answers("+15569132012").await.len(), 2);
}

#[tokio::test]
async fn what_stops_a_line_tries_no_other_template() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["first", "second"], "preferred_then_others").await;
    let flow = dana.has_flow("Out", &talks()).await;
    let mut body = start(&flow, json!({ "templateGroupId": group }));
    body["phone"] = json!("+15559131042");
    dana.post(OUTBOUND, &body).await.ok();
    eventually("the stop", async || {
        let lines = dana.get("/api/settings/whatsapp").await.ok();
        lines.to_string().contains("131042").then_some(())
    })
    .await;
    assert_eq!(app.events("conversation.template_chosen").await, 1);
    assert_eq!(app.events("conversation.message_failed").await, 0, "the message waits for a person to act");
}

#[tokio::test]
async fn turns_are_taken_one_after_the_other_and_every_draw_can_be_replayed() {
    let app = TestApp::start().await;
    let (dana, group) = with_group(&app, &["a", "b", "c"], "round_robin").await;
    let flow = dana.has_flow("Out", &talks()).await;
    let start = async |n: usize| {
        let mut body = start(&flow, json!({ "templateGroupId": group }));
        body["phone"] = json!(format!("+97250123450{n}"));
        dana.post(OUTBOUND, &body).await.ok();
    };
    futures::future::join_all((0..6).map(start)).await;
    let mut chosen = Vec::new();
    for n in 0..6 {
        let sent = message(&dana, &format!("+97250123450{n}"), |it| it["why"][0]["chosen"].is_string()).await;
        chosen.push(sent["why"][0]["chosen"].as_str().expect("a name").to_owned());
    }
    chosen.sort();
    assert_eq!(chosen, ["a", "a", "b", "b", "c", "c"]);
    let history = dana.get(&format!("/api/audit/template_group/{group}/events?type=template_group.picked")).await.ok();
    let turns: Vec<&Value> = history.as_array().expect("picks").iter().map(|it| &it["payload"]["nextTurn"]).collect();
    assert_eq!(json!(turns), json!([1, 2, 3, 1, 2, 3]));
}
