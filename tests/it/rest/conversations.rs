//! Conversations: listed, looked into, handled, answered.

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};
use tests::flows::{drawflow, echo};

use super::refused;

const PHONE: &str = "+972501230001";

/// An account with a line and the echo flow, to whom this customer has written.
async fn echoing(app: &TestApp) -> (SignedIn, String) {
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    app.customer_does(PHONE, &json!({ "phoneNumberId": tests::app::LINE, "text": "one", "name": "Noa" })).await;
    app.wait_for_answers(PHONE, 1).await;
    let path = path_of(&dana.conversation_with(PHONE).await);
    (dana, path)
}

fn path_of(row: &Value) -> String {
    format!("/api/conversations/{}", row["id"].as_str().expect("an id"))
}

/// The conversation once its last message has come so far.
async fn once_last_is(dana: &SignedIn, path: &str, status: &str) -> Value {
    eventually(&format!("the last message {status}"), async || {
        let shown = dana.get(path).await.ok();
        let last = shown["messages"].as_array().and_then(|all| all.last().cloned())?;
        (last["status"] == status).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_conversation_shows_its_messages_its_run_and_its_window() {
    let app = TestApp::start().await;
    let (dana, path) = echoing(&app).await;
    let shown = once_last_is(&dana, &path, "read").await;
    let expected = json!({ "waPhoneNumber": PHONE, "customerName": "Noa", "channel": "whatsapp", "status": "active",
                           "lastMessage": "echo one", "windowOpen": true, "claimedBy": null, "version": 1 });
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&shown[name], value, "{name}: {shown}");
    }
    let run = &shown["flowRun"];
    assert_eq!((&run["flowId"], &run["version"], &run["status"]), (&shown["flowId"], &json!(1), &json!("completed")));
    let messages = shown["messages"].as_array().expect("messages");
    let brief: Vec<_> = messages
        .iter()
        .map(|it| json!([it["direction"], it["author"], it["type"], it["text"], it["status"]]))
        .collect();
    let expected =
        json!([["inbound", "customer", "text", "one", "received"], ["outbound", "flow", "text", "echo one", "read"]]);
    assert_eq!(json!(brief), expected);
    let times = messages[1]["statusAt"].as_object().expect("times");
    let times: Vec<&str> =
        ["queued", "sent", "delivered", "read"].map(|word| times[word].as_str().expect("a time")).into();
    assert!(times.is_sorted(), "{times:?}");
    assert!(messages.iter().all(|it| it["providerMessageId"].as_str().is_some_and(|id| id.starts_with("wamid."))));
    let (said, closes) = (&shown["lastCustomerMessageAt"], &shown["windowClosesAt"]);
    assert_eq!(said.as_str().map(|at| &at[11..]), closes.as_str().map(|at| &at[11..]), "24 hours later");
    // Older messages are on the next page, each page oldest first.
    let newest = dana.get(&format!("{path}?limit=1")).await;
    let cursor = newest.header("x-next-cursor").expect("older ones").to_owned();
    assert_eq!(newest.ok()["messages"][0]["text"], "echo one");
    let older = dana.get(&format!("{path}?limit=1&cursor={cursor}")).await;
    assert!(older.header("x-next-cursor").is_none());
    assert_eq!(older.ok()["messages"][0]["text"], "one");
}

#[tokio::test]
async fn lists_filter_count_and_come_in_pages() {
    let app = TestApp::start().await;
    let (dana, first) = echoing(&app).await;
    for (phone, name) in [("+972501230002", "Omer"), ("+972501230003", "Tal")] {
        app.customer_does(phone, &json!({ "phoneNumberId": tests::app::LINE, "text": "hi", "name": name })).await;
        app.wait_for_answers(phone, 1).await;
        once_last_is(&dana, &path_of(&dana.conversation_with(phone).await), "read").await;
    }
    once_last_is(&dana, &first, "read").await;
    dana.put(&first, &json!({ "action": "claim" })).await.ok();
    let names = async |query: &str| -> Vec<String> {
        let rows = dana.get(&format!("/api/conversations?{query}")).await.ok();
        rows.as_array()
            .expect("a list")
            .iter()
            .map(|it| it["customerName"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names("").await, ["Noa", "Tal", "Omer"], "the liveliest first");
    assert_eq!(names("status=claimed").await, ["Noa"]);
    assert_eq!(names("status=active").await, ["Tal", "Omer"]);
    assert_eq!(names("phone=%2B972501230002").await, ["Omer"]);
    assert_eq!(names("phone=972501230002").await, ["Omer"]);
    assert_eq!(names("search=tal").await, ["Tal"]);
    assert_eq!(names(&format!("claimedBy={}", dana.id)).await, ["Noa"]);
    assert_eq!(names(&format!("flowId={}", uuid::Uuid::nil())).await, Vec::<String>::new());
    let page = dana.get("/api/conversations?limit=2&stats=true").await;
    let cursor = page.header("x-next-cursor").expect("a cursor").to_owned();
    assert_eq!(page.header("x-total-count"), Some("3"));
    assert_eq!(page.header("x-status-counts"), Some("active=2,claimed=1"));
    let link = format!("</api/conversations?limit=2&stats=true&cursor={cursor}>; rel=\"next\"");
    assert_eq!(page.header("link"), Some(link.as_str()));
    let counts = json!({ "received": 1, "queued": 1, "sent": 1, "delivered": 1, "read": 1, "failed": 0 });
    assert_eq!(page.ok()[1]["stats"], counts);
    let last = dana.get(&format!("/api/conversations?limit=2&cursor={cursor}")).await;
    assert!(last.header("x-next-cursor").is_none() && last.header("x-status-counts").is_none());
    let last = last.ok();
    assert_eq!(
        (last[0]["customerName"].as_str(), last[0].get("stats"), last[0].get("flowRun")),
        (Some("Omer"), None, None)
    );
    for bad in ["status=lost", "limit=0", "limit=500", "cursor=x", "flowId=7"] {
        refused(&dana.get(&format!("/api/conversations?{bad}")).await, 400, "invalid_request");
    }
    refused(&dana.get("/api/conversations?phone=12").await, 400, "phone_invalid");
}

#[tokio::test]
async fn a_claimed_conversation_is_a_persons_until_it_is_released() {
    let app = TestApp::start().await;
    let (dana, path) = echoing(&app).await;
    let handle = async |action: &str| dana.put(&path, &json!({ "action": action })).await.ok();
    let claimed = handle("claim").await;
    assert_eq!(
        (&claimed["status"], &claimed["claimedBy"], &claimed["version"]),
        (&json!("claimed"), &json!(dana.id), &json!(2))
    );
    assert_eq!(handle("claim").await["version"], 2, "what is so already stays so");
    app.customer_writes(PHONE, "anybody there?").await;
    eventually("the message", async || (dana.get(&path).await.ok()["lastMessage"] == "anybody there?").then_some(()))
        .await;
    let reply =
        dana.post(&format!("{path}/reply"), &json!({ "messageType": "text", "text": "A person here" })).await.ok();
    assert_eq!((&reply["success"], &reply["windowOpen"]), (&json!(true), &json!(true)));
    let released = handle("release").await;
    assert_eq!((&released["status"], &released["claimedBy"]), (&json!("active"), &Value::Null));
    app.customer_writes(PHONE, "two").await;
    let answers = app.wait_for_answers(PHONE, 3).await;
    assert!(answers[1].contains("A person here") && answers[2].contains("echo two"), "{answers:?}");
    assert_eq!(handle("close").await["status"], "closed");
    assert_eq!(handle("reopen").await["status"], "active");
    assert_eq!(handle("close").await["status"], "closed");
    app.customer_writes(PHONE, "three").await;
    assert!(app.wait_for_answers(PHONE, 4).await[3].contains("echo three"), "a message reopens it");
    eventually("it is open", async || (dana.get(&path).await.ok()["status"] == "active").then_some(())).await;
    refused(&dana.put(&path, &json!({ "action": "adopt" })).await, 400, "invalid_request");
}

#[tokio::test]
async fn of_two_who_saw_the_same_version_one_is_too_late() {
    let app = TestApp::start().await;
    let (dana, path) = echoing(&app).await;
    let seen = dana.get(&path).await.ok()["version"].clone();
    let wish = |action: &str| json!({ "action": action, "expectedVersion": seen });
    let (claim, close) = (wish("claim"), wish("close"));
    let (one, other) = tokio::join!(dana.put(&path, &claim), dana.put(&path, &close));
    let (won, lost) = if one.status.is_success() { (one, other) } else { (other, one) };
    refused(&lost, 409, "stale_version");
    let won = won.ok();
    assert_eq!(won["version"], json!(seen.as_u64().map(|it| it + 1)));
    let shown = dana.get(&path).await.ok();
    assert_eq!((&shown["version"], &shown["status"]), (&won["version"], &won["status"]));
}

#[tokio::test]
async fn people_send_texts_media_templates_and_more() {
    let app = TestApp::start().await;
    let (dana, path) = echoing(&app).await;
    let reply = format!("{path}/reply");
    for (body, kind, part) in [
        (json!({ "messageType": "text", "text": "Hello! How can I help you?" }), "text", "How can I help"),
        (
            json!({ "messageType": "image", "mediaUrl": "https://example.com/photo.jpg", "caption": "Here" }),
            "image",
            "photo.jpg",
        ),
        (
            json!({ "messageType": "template", "templateName": "order_update", "templateLanguage": "en", "templateParams": ["ORD-1", "Shipped"] }),
            "template",
            "Shipped",
        ),
        (
            json!({ "messageType": "location", "latitude": 32.1, "longitude": 34.8, "name": "Office" }),
            "location",
            "Office",
        ),
        (
            json!({ "messageType": "buttons", "text": "Well?", "buttons": [{ "id": "y", "title": "Yes" }] }),
            "interactive",
            "Yes",
        ),
    ] {
        let answer = dana.post(&reply, &body).await.ok();
        let wamid = answer["messageId"].as_str().expect("an id");
        let shown = app.phone_shows(PHONE).await;
        let on_phone =
            shown.iter().find(|it| it["wamid"] == wamid).unwrap_or_else(|| panic!("{kind} {wamid}: {shown:?}"));
        assert_eq!((&on_phone["type"], answer["windowOpen"].as_bool()), (&json!(kind), Some(true)));
        assert!(on_phone["content"].to_string().contains(part), "{on_phone}");
    }
    let shown = once_last_is(&dana, &path, "read").await;
    let people = shown["messages"].as_array().expect("messages").iter().filter(|it| it["author"] == "user").count();
    assert_eq!(people, 5);
    for wrong in [
        json!({ "messageType": "text" }),
        json!({ "messageType": "text", "text": "" }),
        json!({ "messageType": "image", "caption": "no picture" }),
        json!({ "messageType": "template" }),
        json!({ "messageType": "song", "text": "la" }),
        json!({ "text": "no type" }),
        json!({ "messageType": "text", "text": "x", "colour": "red" }),
    ] {
        refused(&dana.post(&reply, &wrong).await, 400, "invalid_request");
    }
    assert_eq!(dana.get(&path).await.ok()["messages"].as_array().map(Vec::len), Some(7), "nothing was sent");
}

#[tokio::test]
async fn outside_the_window_only_templates_leave() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let flow =
        drawflow(&[("1", "trigger_outbound", json!({}), &["2"]), ("2", "send_text", json!({ "text": "Later" }), &[])]);
    let flow = dana.has_line().await.has_flow("Out", &flow).await;
    let start =
        json!({ "phone": PHONE, "flowId": flow, "templateName": "hello", "data": { "templateLanguage": "he" } });
    dana.post("/api/webhook/outbound", &start).await.ok();
    let path = path_of(&dana.conversation_with(PHONE).await);
    let shown = dana.get(&path).await.ok();
    assert_eq!((&shown["windowOpen"], &shown["windowClosesAt"]), (&json!(false), &Value::Null));
    for body in [
        json!({ "messageType": "text", "text": "Hi" }),
        json!({ "messageType": "image", "mediaUrl": "https://example.com/a.jpg" }),
        json!({ "messageType": "buttons", "text": "Well?", "buttons": [{ "id": "y", "title": "Yes" }] }),
    ] {
        let refusal = refused(&dana.post(&format!("{path}/reply"), &body).await, 409, "window_closed");
        assert_eq!(refusal["windowOpen"], false);
    }
    assert_eq!(app.answers(PHONE).await.len(), 1, "nothing but the first template was sent");
    assert_eq!(dana.get(&path).await.ok()["messages"].as_array().map(Vec::len), Some(1));
    let template = json!({ "messageType": "template", "templateName": "order_update" });
    let reply = dana.post(&format!("{path}/reply"), &template).await.ok();
    assert_eq!(reply["windowOpen"], false);
    assert_eq!(app.answers(PHONE).await.len(), 2);
    let refusing = json!({ "messageType": "template", "templateName": "gone_132001" });
    refused(&dana.post(&format!("{path}/reply"), &refusing).await, 409, "send_refused");
}
