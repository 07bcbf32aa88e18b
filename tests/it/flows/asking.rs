//! Nodes that wait for the customer: buttons, list, ask, wait_reply.

use serde_json::{Value, json};
use tests::app::LINE;
use tests::flows::{Node, drawflow};

use super::{PHONE, last_of, run_once, running};

/// A node between the catch-all and texts that tell by which exit the run left.
fn telling(kind: &str, data: Value, exits: &[&str]) -> Value {
    let keys: Vec<String> = (0..exits.len()).map(|n| (n + 3).to_string()).collect();
    let targets: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut nodes: Vec<Node<'_>> = vec![("1", "trigger_message", json!({}), &["2"]), ("2", kind, data, &targets)];
    for (key, exit) in keys.iter().zip(exits) {
        nodes.push((key, "send_text", json!({ "text": format!("left by {exit}: {{{{answer}}}}") }), &[]));
    }
    drawflow(&nodes)
}

fn writing(what: Value) -> Value {
    let mut writing = what;
    writing["phoneNumberId"] = json!(LINE);
    writing
}

#[tokio::test]
async fn buttons_lead_where_they_say() {
    let buttons = json!([{ "id": "yes", "title": "Yes" }, { "id": "no", "title": "No" }]);
    let data = json!({ "body": "Shall we, {{contact.name}}?", "buttons": buttons, "saveAs": "answer" });
    let (app, _) = running(&telling("send_buttons", data, &["yes", "no", "other", "timeout"])).await;
    app.customer_does(PHONE, &writing(json!({ "text": "hi", "name": "Noa" }))).await;
    let question = last_of(&app, 1).await;
    assert!(
        question.contains("Shall we, Noa?") && question.contains("\"Yes\"") && question.contains("\"no\""),
        "{question}"
    );
    app.customer_does(PHONE, &writing(json!({ "buttonId": "no", "title": "No" }))).await;
    assert!(last_of(&app, 2).await.contains("left by no: No"));
    app.customer_writes(PHONE, "again").await;
    last_of(&app, 3).await;
    app.customer_writes(PHONE, "yes").await;
    let typed = last_of(&app, 4).await;
    assert!(typed.contains("left by yes: Yes") || typed.contains("left by yes: yes"), "a title may be typed: {typed}");
    app.customer_writes(PHONE, "again").await;
    last_of(&app, 5).await;
    app.customer_writes(PHONE, "perhaps").await;
    assert!(last_of(&app, 6).await.contains("left by other: perhaps"));
}

#[tokio::test]
async fn many_buttons_become_a_list() {
    let buttons: Vec<Value> =
        (1..=5).map(|n| json!({ "id": format!("b{n}"), "title": format!("Option {n}") })).collect();
    let data = json!({ "body": "Which?", "buttons": buttons, "saveAs": "answer" });
    let (app, _) = running(&telling("send_buttons", data, &["b1", "b2", "b3", "b4", "b5", "other", "timeout"])).await;
    app.customer_writes(PHONE, "hi").await;
    let list = last_of(&app, 1).await;
    assert!(list.contains("\"list\"") && list.contains("Option 5"), "{list}");
    app.customer_does(PHONE, &writing(json!({ "rowId": "b4", "title": "Option 4" }))).await;
    assert!(last_of(&app, 2).await.contains("left by b4: Option 4"));
}

#[tokio::test]
async fn rows_of_a_list_lead_where_they_say() {
    let rows = json!([{ "id": "cut", "title": "Cut", "description": "30 minutes" }, { "id": "dye", "title": "Dye" }]);
    let data = json!({ "body": "Which service?", "button": "Services", "sections": [{ "title": "Hair", "rows": rows }], "saveAs": "answer" });
    let (app, _) = running(&telling("send_list", data, &["cut", "dye", "other", "timeout"])).await;
    app.customer_writes(PHONE, "hi").await;
    let question = last_of(&app, 1).await;
    assert!(
        ["Which service?", "Services", "30 minutes", "Dye"].iter().all(|part| question.contains(part)),
        "{question}"
    );
    app.customer_does(PHONE, &writing(json!({ "rowId": "dye", "title": "Dye" }))).await;
    assert!(last_of(&app, 2).await.contains("left by dye: Dye"));
}

#[tokio::test]
async fn a_question_is_asked_again_until_the_answer_fits() {
    let data = json!({ "text": "How old are you?", "saveAs": "answer", "expect": "number", "min": 18, "max": 120,
                       "retryText": "A number from 18, please.", "maxRetries": 2 });
    let (app, dana) = running(&telling("ask", data, &["answered", "invalid", "timeout"])).await;
    for (n, said) in ["hi", "many", "17"].into_iter().enumerate() {
        app.customer_writes(PHONE, said).await;
        let answer = last_of(&app, n + 1).await;
        let expected = if n == 0 { "How old are you?" } else { "A number from 18, please." };
        assert!(answer.contains(expected), "{answer}");
    }
    app.customer_writes(PHONE, "42").await;
    assert!(last_of(&app, 4).await.contains("left by answered: 42"));
    assert_eq!(run_once(&dana, "completed").await["variables"]["answer"], 42);
    for n in 5..=7 {
        app.customer_writes(PHONE, "again and again").await;
        last_of(&app, n).await;
    }
    app.customer_writes(PHONE, "still no number").await;
    assert!(last_of(&app, 8).await.contains("left by invalid: "));
}

#[tokio::test]
async fn answers_of_every_kind_are_understood() {
    for (expect, said, saved) in [
        ("email", json!({ "text": "Dana@Example.com" }), "ana@"),
        ("phone", json!({ "text": "+972 50-123-4567" }), "+972501234567"),
        ("date", json!({ "text": "2026-03-09" }), "2026-03-09"),
        ("time", json!({ "text": "9:30" }), "09:30"),
        ("location", json!({ "type": "location", "media": { "latitude": 32.1, "longitude": 34.8 } }), "32.1"),
        ("media", json!({ "type": "image", "media": { "id": "77001", "mime_type": "image/png" } }), "77001"),
    ] {
        let data = json!({ "text": "Well?", "saveAs": "answer", "expect": expect });
        let (app, _) = running(&telling("ask", data, &["answered", "invalid", "timeout"])).await;
        app.customer_writes(PHONE, "hi").await;
        last_of(&app, 1).await;
        app.customer_does(PHONE, &writing(said)).await;
        let answer = last_of(&app, 2).await;
        assert!(answer.contains("left by answered") && answer.contains(saved), "{expect}: {answer}");
    }
}

#[tokio::test]
async fn a_reply_is_waited_for_and_time_runs_out() {
    let (app, dana) =
        running(&telling("wait_reply", json!({ "saveAs": "answer", "timeoutSec": 60 }), &["reply", "timeout"])).await;
    app.customer_writes(PHONE, "hi").await;
    run_once(&dana, "waiting").await;
    app.customer_writes(PHONE, "ok").await;
    assert!(last_of(&app, 1).await.contains("left by reply: ok"));
    for (kind, data) in
        [("wait_reply", json!({ "timeoutSec": 1 })), ("ask", json!({ "text": "Well?", "timeoutSec": 1 }))]
    {
        let exits: &[&str] = if kind == "ask" { &["answered", "invalid", "timeout"] } else { &["reply", "timeout"] };
        let (app, dana) = running(&telling(kind, data, exits)).await;
        app.customer_writes(PHONE, "hi").await;
        run_once(&dana, "completed").await;
        let answers = app.wait_for_answers(PHONE, exits.len() - 1).await;
        assert!(answers.last().is_some_and(|it| it.contains("left by timeout")), "{answers:?}");
    }
}
