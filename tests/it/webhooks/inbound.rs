//! Messages: any spelling, any order, any number of times, any company.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::flows::{drawflow, echo};
use tests::webhook::{envelope, signature, text_message};

const PHONE: &str = "972501234567";

/// An account with a line and the echo flow.
async fn echoing(app: &TestApp) -> SignedIn {
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    dana
}

/// Texts of the conversation with this phone, once there are so many messages of the customer.
async fn texts(dana: &SignedIn, phone: &str, many: usize) -> Vec<String> {
    let row = dana.conversation_with(phone).await;
    let path = format!("/api/conversations/{}?limit=200", row["id"].as_str().expect("an id"));
    eventually(&format!("{many} messages of {phone}"), async || {
        let shown = dana.get(&path).await.ok();
        let inbound = shown["messages"].as_array()?.iter().filter(|it| it["direction"] == "inbound");
        let texts: Vec<String> = inbound.map(|it| it["text"].as_str().unwrap_or_default().to_owned()).collect();
        (texts.len() >= many).then_some(texts)
    })
    .await
}

async fn parked(app: &TestApp) -> Vec<(String, Value)> {
    let rows = "select reason, element from parked_elements order by id";
    sqlx::query_as(rows).fetch_all(&app.database.pool).await.expect("rows")
}

/// Waits until nothing of the journal is left to do.
async fn all_done(app: &TestApp) {
    eventually("an empty journal", async || {
        let left: i64 = sqlx::query_scalar("select count(*) from webhook_journal where state = 0")
            .fetch_one(&app.database.pool)
            .await
            .ok()?;
        (left == 0).then_some(())
    })
    .await;
}

fn with(value: &mut Value, path: &str, new: Value) {
    *value.pointer_mut(&format!("/entry/0/changes/0/value{path}")).expect("a place") = new;
}

#[tokio::test]
async fn hebrew_reads_the_same_in_both_spellings() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let secret = app.config.meta.app_secret.as_ref().expect("a secret").expose().clone();
    let raw = text_message(PHONE, "wamid.raw", "שלום 👋 \u{200f}עולם").to_string();
    let mut units = [0_u16; 2];
    let escape = |c: char, units: &mut [u16; 2]| -> String {
        if c.is_ascii() {
            c.to_string()
        } else {
            c.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    let escaped: String = raw.replace("wamid.raw", "wamid.escaped").chars().map(|c| escape(c, &mut units)).collect();
    assert!(escaped.is_ascii() && !raw.is_ascii());
    for (n, body) in [raw, escaped].iter().enumerate() {
        app.deliver_bytes(body.as_bytes(), Some(&signature(&secret, body.as_bytes()))).await.ok();
        texts(&dana, PHONE, n + 1).await;
    }
    let said = texts(&dana, PHONE, 2).await;
    assert_eq!(said, ["שלום 👋 \u{200f}עולם"; 2]);
    assert!(app.wait_for_answers(PHONE, 2).await.iter().all(|answer| answer.contains("echo שלום 👋")));
}

#[tokio::test]
async fn a_message_counts_once_however_often_it_comes() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let hook = text_message(PHONE, "wamid.once", "only once");
    for answer in join_all((0..10).map(|_| app.deliver(&hook))).await {
        answer.ok();
    }
    // Twice in one body, and once more when all is long done.
    let mut twice = text_message(PHONE, "wamid.twice", "twice");
    let again = twice["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    twice["entry"][0]["changes"][0]["value"]["messages"].as_array_mut().expect("messages").push(again);
    app.deliver(&twice).await.ok();
    all_done(&app).await;
    app.deliver(&hook).await.ok();
    app.deliver(&text_message(PHONE, "wamid.end", "the end")).await.ok();
    all_done(&app).await;
    assert_eq!(texts(&dana, PHONE, 3).await, ["only once", "twice", "the end"]);
    assert_eq!(app.wait_for_answers(PHONE, 3).await.len(), 3);
}

#[tokio::test]
async fn an_album_of_a_new_contact_is_one_conversation_in_order() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let mut album = text_message(PHONE, "wamid.0", "0");
    let message = album["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    let messages = (0..30).map(|n| {
        let mut it = message.clone();
        it["id"] = json!(format!("wamid.{n}"));
        it["text"]["body"] = json!(n.to_string());
        it
    });
    with(&mut album, "/messages", messages.collect());
    app.deliver(&album).await.ok();
    let expected: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    assert_eq!(texts(&dana, PHONE, 30).await, expected);
    let answers = app.wait_for_answers(PHONE, 20).await;
    assert!(answers.iter().enumerate().all(|(n, answer)| answer.contains(&format!("echo {n}"))), "{answers:?}");
    // The same at once, each in a webhook of its own.
    let other = "972507654321";
    let hooks: Vec<Value> = (0..30).map(|n| text_message(other, &format!("wamid.other{n}"), &n.to_string())).collect();
    join_all(hooks.iter().map(|hook| app.deliver(hook))).await.into_iter().for_each(|answer| drop(answer.ok()));
    assert_eq!(texts(&dana, other, 30).await.len(), 30);
    let rows = dana.get("/api/conversations").await.ok();
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{rows}");
}

#[tokio::test]
async fn what_nobody_knows_is_kept_and_its_neighbours_are_processed() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let mut hook = text_message(PHONE, "wamid.good", "good");
    let good = hook["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    let strange = json!({ "from": PHONE, "id": "wamid.hologram", "timestamp": good["timestamp"], "type": "hologram", "hologram": { "beam": 7 } });
    let messages = json!([7, null, {}, { "id": "wamid.noone" }, strange, good, "text"]);
    with(&mut hook, "/messages", messages);
    hook["entry"][0]["changes"][0]["value"]["holograms"] = json!([{ "x": 1 }]);
    let changes = hook["entry"][0]["changes"].as_array_mut().expect("changes");
    changes
        .push(json!({ "field": "teleportation", "value": { "metadata": { "phone_number_id": LINE }, "to": "Haifa" } }));
    changes.push(json!("nonsense"));
    app.deliver(&hook).await.ok();
    let said = texts(&dana, PHONE, 2).await;
    assert_eq!(said, ["", "good"]);
    all_done(&app).await;
    let row = dana.conversation_with(PHONE).await;
    let shown = dana.get(&format!("/api/conversations/{}", row["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(shown["messages"][0]["media"]["hologram"]["beam"], 7, "{shown}");
    let kept = parked(&app).await;
    for part in ["holograms", "teleportation", "wamid.noone", "nonsense"] {
        assert!(
            kept.iter().any(|(reason, element)| reason.contains(part) || element.to_string().contains(part)),
            "{part}: {kept:?}"
        );
    }
}

#[tokio::test]
async fn a_null_character_stops_nobody() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let mut hook = text_message(PHONE, "wamid.null", "a\0b");
    with(&mut hook, "/contacts/0/profile/name", json!("Da\0na"));
    app.deliver(&hook).await.ok();
    app.deliver(&text_message("972507654321", "wamid.next", "next")).await.ok();
    assert_eq!(texts(&dana, "972507654321", 1).await, ["next"]);
    assert_eq!(texts(&dana, PHONE, 1).await, ["a\u{fffd}b"]);
    all_done(&app).await;
}

#[tokio::test]
async fn a_contact_without_a_phone_is_answered_by_user_id() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let flow = drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "ask", json!({ "text": "Your name?", "saveAs": "name" }), &["3"]),
        ("3", "send_text", json!({ "text": "Hello {{name}}" }), &[]),
    ]);
    dana.has_line().await.has_flow("Ask", &flow).await;
    let user = "US.13491208655302741918";
    app.customer_writes(user, "hi").await;
    app.wait_for_answers(user, 1).await;
    app.customer_writes(user, "Noa").await;
    assert!(app.wait_for_answers(user, 2).await[1].contains("Hello Noa"));
    let row = eventually("its row", async || dana.get("/api/conversations").await.ok().get(0).cloned()).await;
    assert_eq!((&row["waPhoneNumber"], &row["waUserId"]), (&Value::Null, &json!(user)), "{row}");
}

#[tokio::test]
async fn a_changed_number_keeps_its_conversation() {
    let app = TestApp::start().await;
    let dana = echoing(&app).await;
    let (old, new) = (PHONE, "972507654321");
    app.deliver(&text_message(old, "wamid.before", "before")).await.ok();
    app.wait_for_answers(old, 1).await;
    let system = json!({ "from": old, "id": "wamid.system", "timestamp": chrono::Utc::now().timestamp().to_string(), "type": "system",
                         "system": { "type": "user_changed_number", "wa_id": new, "body": "User changed" } });
    let change = envelope(
        &json!({ "messaging_product": "whatsapp", "metadata": { "phone_number_id": LINE }, "messages": [system] }),
    );
    app.deliver(&change).await.ok();
    all_done(&app).await;
    app.deliver(&text_message(new, "wamid.after", "after")).await.ok();
    assert_eq!(texts(&dana, new, 2).await, ["before", "after"]);
    app.wait_for_answers(new, 1).await;
    let rows = dana.get("/api/conversations").await.ok();
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["waPhoneNumber"]), (Some(1), &json!(format!("+{new}"))));
}

#[tokio::test]
async fn an_unknown_line_is_parked() {
    let app = TestApp::start().await;
    app.deliver(&text_message(PHONE, "wamid.lost", "anybody?")).await.ok();
    all_done(&app).await;
    let kept = parked(&app).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].0.contains(LINE) && kept[0].1.to_string().contains("anybody?"), "{kept:?}");
    let events: i64 =
        sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("rows");
    assert_eq!(events, 0);
}
