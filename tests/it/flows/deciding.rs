//! Nodes that decide and keep: condition, set_variable, goto, update_lead, handoff, end; and which flow starts.

use serde_json::json;
use tests::app::eventually;
use tests::flows::{drawflow, echo};

use super::{PHONE, last_of, run_once, running};

#[tokio::test]
async fn variables_conditions_and_jumps() {
    let cases = json!([{ "id": "adult", "match": "all", "rules": [{ "left": "age", "op": "gte", "right": 18 }] },
                       { "id": "nearly", "match": "any", "rules": [{ "left": "age", "op": "between", "right": [16, 17] }] }]);
    let (app, _) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        (
            "2",
            "set_variable",
            json!({ "assignments": [{ "name": "tries", "value": 1 }, { "name": "list", "value": ["a", { "b": 2 }] }] }),
            &["3"],
        ),
        ("3", "ask", json!({ "text": "Age?", "saveAs": "age", "expect": "number" }), &["4"]),
        ("4", "condition", json!({ "cases": cases }), &["5", "6", "7"]),
        ("5", "send_text", json!({ "text": "welcome at {{age}}: {{list[1].b}} {{tries}}" }), &[]),
        ("6", "send_text", json!({ "text": "almost" }), &["8"]),
        ("7", "send_text", json!({ "text": "too young" }), &[]),
        ("8", "goto", json!({ "nodeId": 3 }), &[]),
    ]))
    .await;
    app.customer_writes(PHONE, "hi").await;
    last_of(&app, 1).await;
    app.customer_writes(PHONE, "17").await;
    let answers = app.wait_for_answers(PHONE, 3).await;
    assert!(answers[1].contains("almost") && answers[2].contains("Age?"), "{answers:?}");
    app.customer_writes(PHONE, "30").await;
    assert!(last_of(&app, 4).await.contains("welcome at 30: 2 1"));
    app.customer_writes(PHONE, "once more").await;
    last_of(&app, 5).await;
    app.customer_writes(PHONE, "7").await;
    assert!(last_of(&app, 6).await.contains("too young"));
}

#[tokio::test]
async fn a_flow_changes_the_lead_and_sees_the_change() {
    let (app, dana) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "update_lead", json!({ "status": "qualified", "fields": { "city": "{{trigger.text}}", "old": null }, "addTags": ["vip"], "removeTags": ["cold"] }), &["3"]),
        ("3", "send_text", json!({ "text": "{{lead.name}} is {{lead.status}} in {{lead.city}}" }), &[]),
    ]))
    .await;
    let lead = json!({ "phone": PHONE, "name": "Noa", "fields": { "old": 1 }, "tags": ["cold"] });
    dana.post("/api/leads", &lead).await.ok();
    app.customer_writes(PHONE, "Haifa").await;
    assert!(last_of(&app, 1).await.contains("Noa is qualified in Haifa"));
    let lead = eventually("the change", async || {
        let lead = dana.get(&format!("/api/leads/{PHONE}")).await.ok();
        (lead["status"] == "qualified").then_some(lead)
    })
    .await;
    assert_eq!(
        (&lead["fields"], &lead["tags"], &lead["name"]),
        (&json!({ "city": "Haifa" }), &json!(["vip"]), &json!("Noa"))
    );
    // Somebody nobody told us of becomes a lead.
    app.customer_writes("+972507654321", "Eilat").await;
    eventually("a new lead", async || {
        dana.get("/api/leads/972507654321").await.body["fields"]["city"]
            .as_str()
            .filter(|city| *city == "Eilat")
            .map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn a_handoff_ends_the_run_and_asks_for_a_person() {
    let (app, dana) = running(&drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["help"] }), &["2"]),
        (
            "2",
            "handoff",
            json!({ "strategy": "least_busy", "note": "Asked for help", "message": "One moment, please." }),
            &[],
        ),
    ]))
    .await;
    app.customer_writes(PHONE, "help").await;
    assert!(last_of(&app, 1).await.contains("One moment, please."));
    run_once(&dana, "handed_off").await;
    let row = dana.conversation_with(PHONE).await;
    assert_eq!(row["status"], "handoff");
    let waiting = dana.get("/api/conversations?status=handoff").await.ok();
    assert_eq!(waiting[0]["id"], row["id"]);
}

#[tokio::test]
async fn a_keyword_beats_a_waiting_run_and_a_catch_all_does_not() {
    let asking = drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["order"], "match": "exact" }), &["2"]),
        ("2", "ask", json!({ "text": "Which size?", "saveAs": "size" }), &["3"]),
        ("3", "send_text", json!({ "text": "{{size}} ordered" }), &[]),
    ]);
    let (app, dana) = running(&asking).await;
    dana.has_flow("Echo", &echo()).await;
    let stop = drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["stop"] }), &["2"]),
        ("2", "send_text", json!({ "text": "Stopped" }), &[]),
    ]);
    dana.has_flow("Stop", &stop).await;
    let mut answers = 0;
    for (said, answer) in [
        ("hello", "echo hello"),
        ("Order", "Which size?"),
        ("large", "large ordered"),
        ("order", "Which size?"),
        ("please stop", "Stopped"),
        ("small", "echo small"),
    ] {
        app.customer_writes(PHONE, said).await;
        answers += 1;
        let shown = last_of(&app, answers).await;
        assert!(shown.contains(answer), "{said}: {shown}");
    }
    let ended = "select count(*) from events where payload::text like '%superseded%'";
    let superseded: i64 = sqlx::query_scalar(ended).fetch_one(&app.database.pool).await.expect("rows");
    assert_eq!(superseded, 1);
}
