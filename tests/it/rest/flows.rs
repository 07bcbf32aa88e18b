//! Flows: kept as they were sent, checked before they run, published as versions that runs stay with.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp};
use tests::flows::{drawflow, echo};

use super::refused;

/// Greets, waits for a name, and says goodbye in these words.
fn question(farewell: &str) -> Value {
    drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["hello"] }), &["2"]),
        ("2", "ask", json!({ "text": "Your name?", "saveAs": "name" }), &["3"]),
        ("3", "send_text", json!({ "text": format!("{farewell}, {{{{name}}}}") }), &[]),
    ])
}

fn id_of(flow: &Value) -> String {
    flow["id"].as_str().expect("an id").to_owned()
}

/// The order in which a list shows the flows' names.
async fn names(dana: &SignedIn, path: &str) -> Vec<String> {
    let list = dana.get(path).await.ok();
    list.as_array().expect("a list").iter().map(|flow| flow["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_flow_is_made_shown_changed_and_deleted() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    assert_eq!(dana.get("/api/flows").await.ok(), json!([]));
    let made = dana.post("/api/flows", &json!({ "name": "Support", "description": "Answers" })).await;
    assert_eq!(made.status.as_u16(), 201);
    let made = made.ok();
    let expected =
        json!({ "name": "Support", "description": "Answers", "status": "draft", "version": 0, "warnings": [] });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&made[name], value, "{made}");
    }
    let at = made["createdAt"].as_str().expect("a time");
    assert!(at.len() == 24 && at.ends_with('Z') && at.as_bytes()[19] == b'.', "RFC 3339 with milliseconds: {at}");
    let path = format!("/api/flows/{}", id_of(&made));
    assert_eq!(dana.get(&path).await.ok(), made);
    let changed = dana.put(&path, &json!({ "name": "Help", "drawflowData": echo() })).await.ok();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Help"), &json!("Answers")));
    assert_eq!(dana.get(&path).await.ok(), changed);
    dana.post("/api/flows", &json!({ "name": "Second" })).await.ok();
    assert_eq!(names(&dana, "/api/flows").await, ["Help", "Second"]);
    assert_eq!(dana.delete(&path).await.ok(), json!({ "success": true }));
    refused(&dana.get(&path).await, 404, "not_found");
    refused(&dana.put(&path, &json!({ "name": "Back" })).await, 404, "not_found");
    refused(&dana.delete(&path).await, 404, "not_found");
    assert_eq!(names(&dana, "/api/flows").await, ["Second"]);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for n in 1..=5 {
        dana.post("/api/flows", &json!({ "name": format!("Flow {n}") })).await.ok();
    }
    let (mut path, mut seen) = ("/api/flows?limit=2".to_owned(), Vec::new());
    for _ in 0..3 {
        let page = dana.get(&path).await;
        let next = page.header("x-next-cursor").map(str::to_owned);
        assert_eq!(page.header("link").is_some(), next.is_some());
        let link = page.header("link").unwrap_or_default().to_owned();
        let rows = page.ok();
        seen.extend(rows.as_array().expect("a list").iter().map(|flow| flow["name"].clone()));
        let Some(next) = next else { break };
        assert_eq!(link, format!("</api/flows?limit=2&cursor={next}>; rel=\"next\""));
        path = format!("/api/flows?limit=2&cursor={next}");
    }
    assert_eq!(json!(seen), json!(["Flow 1", "Flow 2", "Flow 3", "Flow 4", "Flow 5"]));
    for bad in ["limit=0", "limit=201", "limit=x", "cursor=zz", "cursor=%00"] {
        refused(&dana.get(&format!("/api/flows?{bad}")).await, 400, "invalid_request");
    }
    let admin = app.admin().await;
    assert_eq!(names(&admin, &format!("/api/flows?userId={}", dana.id)).await.len(), 5);
    assert_eq!(names(&admin, "/api/flows").await.len(), 0);
    refused(&dana.get(&format!("/api/flows?userId={}", admin.id)).await, 403, "forbidden");
}

#[tokio::test]
async fn drawflow_comes_back_as_it_went_in() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let mut graph = echo();
    graph["drawflow"]["Home"]["data"]["2"]["data"]["ourOwnKey"] = json!({ "kept": [1, 2.5, null, "שלום"] });
    graph["drawflow"]["Home"]["data"]["1"]["pos_x"] = json!(-12.75);
    graph["drawflow"]["Other"] = json!({ "data": {} });
    graph["editor"] = json!({ "zoom": 0.8 });
    for status in ["draft", "active"] {
        let flow = json!({ "name": status, "status": status, "drawflowData": graph });
        let made = dana.post("/api/flows", &flow).await.ok();
        assert_eq!(made["drawflowData"], graph);
        let path = format!("/api/flows/{}", id_of(&made));
        assert_eq!(dana.get(&path).await.ok()["drawflowData"], graph);
    }
    // A draft may be empty; what is active may not.
    let empty = json!({ "drawflow": { "Home": { "data": {} } } });
    dana.post("/api/flows", &json!({ "name": "Empty", "drawflowData": empty })).await.ok();
    let active = json!({ "name": "Empty", "drawflowData": empty, "status": "active" });
    refused(&dana.post("/api/flows", &active).await, 400, "invalid_request");
}

#[tokio::test]
async fn everything_wrong_with_a_graph_is_told_at_once() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let graph = drawflow(&[
        ("1", "trigger_message", json!({ "keywords": [] }), &["2"]),
        ("2", "send_text", json!({ "text": "{{ open" }), &["3"]),
        ("3", "send_buttons", json!({ "body": "", "buttons": [] }), &[]),
        ("4", "goto", json!({ "nodeId": "99" }), &[]),
    ]);
    let flow = json!({ "name": "Broken", "status": "active", "drawflowData": graph });
    let refusal = refused(&dana.post("/api/flows", &flow).await, 400, "invalid_request");
    let problems = refusal["problems"].as_array().expect("problems");
    for (node, field) in [("2", "text"), ("3", "body"), ("3", "buttons"), ("4", "nodeId")] {
        let told = |it: &&Value| it["nodeId"] == node && it["field"] == field;
        let problem = problems.iter().find(told).unwrap_or_else(|| panic!("{node} {field}: {refusal}"));
        assert!(problem["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{problem}");
    }
    assert_eq!(dana.get("/api/flows").await.ok(), json!([]), "nothing is stored");
    let looping = drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "again" }), &["2"]),
    ]);
    let flow = json!({ "name": "Endless", "status": "active", "drawflowData": looping });
    let refusal = refused(&dana.post("/api/flows", &flow).await, 400, "invalid_request");
    assert!(
        refusal["problems"][0]["reason"].as_str().is_some_and(|reason| reason.contains("never waits")),
        "{refusal}"
    );
}

#[tokio::test]
async fn fields_nobody_knows_and_names_nobody_wants_are_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let unknown = dana.post("/api/flows", &json!({ "name": "A", "colour": "red", "sise": 3 })).await;
    let refusal = refused(&unknown, 400, "invalid_request");
    assert_eq!(
        (&refusal["problems"][0]["field"], &refusal["problems"][1]["field"]),
        (&json!("colour"), &json!("sise"))
    );
    for wrong in [json!({}), json!({ "name": "" }), json!({ "name": "x".repeat(201) }), json!({ "name": 7 }), json!([])]
    {
        refused(&dana.post("/api/flows", &wrong).await, 400, "invalid_request");
    }
    let wrong = json!({ "name": "A", "status": "running" });
    assert_eq!(
        refused(&dana.post("/api/flows", &wrong).await, 400, "invalid_request")["problems"][0]["field"],
        "status"
    );
    assert_eq!(dana.get("/api/flows").await.ok(), json!([]));
}

#[tokio::test]
async fn activation_publishes_what_changed_and_warns_of_what_is_odd() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let made = dana.post("/api/flows", &json!({ "name": "Ask", "drawflowData": question("Bye") })).await.ok();
    let (path, versions) = (format!("/api/flows/{}", id_of(&made)), format!("/api/flows/{}/versions", id_of(&made)));
    assert_eq!((&made["version"], dana.get(&versions).await.ok()), (&json!(0), json!([])));
    let active = json!({ "status": "active" });
    let first = dana.put(&path, &active).await.ok();
    assert_eq!((&first["status"], &first["version"]), (&json!("active"), &json!(1)));
    dana.put(&path, &json!({ "status": "paused" })).await.ok();
    assert_eq!(dana.put(&path, &active).await.ok()["version"], 1, "nothing changed, nothing is published");
    assert_ne!(dana.put(&path, &json!({ "status": "draft" })).await.ok()["status"], "active");
    dana.put(&path, &active).await.ok();
    let mut graph = question("See you");
    graph["drawflow"]["Home"]["data"]["9"] = json!({ "id": 9, "name": "made_up", "data": {}, "inputs": {}, "outputs": {}, "class": "", "html": "", "pos_x": 0, "pos_y": 0 });
    let second = dana.put(&path, &json!({ "drawflowData": graph, "status": "active" })).await.ok();
    assert_eq!(second["version"], 2);
    let warned: Vec<&Value> = second["warnings"].as_array().expect("warnings").iter().map(|it| &it["nodeId"]).collect();
    assert!(warned.contains(&&json!("9")), "{second}");
    let listed = dana.get(&versions).await.ok();
    let shown: Vec<&Value> = listed.as_array().expect("a list").iter().map(|it| &it["version"]).collect();
    assert_eq!(shown, [&json!(2), &json!(1)]);
    assert_eq!((&listed[0]["drawflowData"], &listed[1]["drawflowData"]), (&graph, &question("Bye")));
    let again = dana.call(Method::POST, &versions, None).await.ok();
    assert_eq!(again["version"], 2, "publishing what is published already changes nothing");
}

#[tokio::test]
async fn a_waiting_run_stays_with_its_version() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let flow = dana.has_flow("Ask", &question("Old words")).await;
    app.customer_writes("+972501110001", "hello").await;
    app.wait_for_answers("+972501110001", 1).await;
    let path = format!("/api/flows/{flow}");
    let update = json!({ "drawflowData": question("New words"), "status": "active" });
    assert_eq!(dana.put(&path, &update).await.ok()["version"], 2);
    app.customer_writes("+972501110002", "hello").await;
    app.wait_for_answers("+972501110002", 1).await;
    for phone in ["+972501110001", "+972501110002"] {
        app.customer_writes(phone, "Dana").await;
    }
    assert!(app.wait_for_answers("+972501110001", 2).await[1].contains("Old words, Dana"));
    assert!(app.wait_for_answers("+972501110002", 2).await[1].contains("New words, Dana"));
    // A flow that is gone starts nothing; the run that waits on it goes on.
    app.customer_writes("+972501110003", "hello").await;
    app.wait_for_answers("+972501110003", 1).await;
    dana.delete(&path).await.ok();
    app.customer_writes("+972501110003", "Noa").await;
    assert!(app.wait_for_answers("+972501110003", 2).await[1].contains("New words, Noa"));
}
