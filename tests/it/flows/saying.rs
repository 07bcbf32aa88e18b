//! Nodes that say something and go on: text, media, template, delay.

use serde_json::json;
use tests::app::eventually;
use tests::flows::drawflow;

use super::{PHONE, last_of, run_once, running};

#[tokio::test]
async fn texts_know_the_run_the_contact_and_the_payload() {
    let text = "{{contact.name}} at {{contact.phone}} said {{trigger.text | upper}}; {{missing | default(\"nothing\")}} {{flow.name}}";
    let (app, _) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": text }), &[]),
    ]))
    .await;
    app.customer_does(PHONE, &json!({ "phoneNumberId": tests::app::LINE, "text": "Hi", "name": "Noa" })).await;
    let answer = last_of(&app, 1).await;
    assert!(answer.contains("Noa at +972501234567 said ") && answer.contains("nothing Flow"), "{answer}");
}

#[tokio::test]
async fn media_of_every_kind_arrives() {
    let media = |kind: &str, file: &str| json!({ "mediaType": kind, "url": format!("https://example.com/{file}"), "caption": "Look", "filename": "menu.pdf" });
    let (app, dana) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_media", media("image", "a.jpg"), &["3"]),
        ("3", "send_media", media("document", "a.pdf"), &["4"]),
        ("4", "send_media", json!({ "mediaType": "audio", "url": "https://example.com/{{trigger.text}}.mp3" }), &["5"]),
        ("5", "end", json!({ "outcome": "shown" }), &[]),
    ]))
    .await;
    app.customer_writes(PHONE, "song").await;
    last_of(&app, 3).await;
    let shown: Vec<_> = app.phone_shows(PHONE).await.into_iter().filter(|it| it["direction"] == "out").collect();
    let kinds: Vec<_> = shown.iter().map(|it| it["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["image", "document", "audio"], "in the order of the flow");
    assert_eq!(shown[0]["content"], json!({ "link": "https://example.com/a.jpg", "caption": "Look" }));
    assert_eq!(shown[1]["content"]["filename"], "menu.pdf");
    assert_eq!(shown[2]["content"], json!({ "link": "https://example.com/song.mp3" }));
    run_once(&dana, "completed").await;
}

#[tokio::test]
async fn a_template_leaves_by_sent_or_failed() {
    for (name, exit) in [("order_update", "sent"), ("order_update_132001", "failed")] {
        let template = json!({ "templateName": name, "language": "he", "params": ["{{contact.name}}"] });
        let (app, dana) = running(&drawflow(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "send_template", template, &["3", "4"]),
            ("3", "send_text", json!({ "text": "it was sent" }), &[]),
            ("4", "send_text", json!({ "text": "it was failed" }), &[]),
        ]))
        .await;
        app.customer_writes(PHONE, "hi").await;
        run_once(&dana, "completed").await;
        let answers = eventually("the last word", async || {
            let answers = app.answers(PHONE).await;
            answers.iter().any(|it| it.contains("it was")).then_some(answers)
        })
        .await;
        assert!(answers.last().is_some_and(|it| it.contains(&format!("it was {exit}"))), "{name}: {answers:?}");
        assert_eq!(answers.len(), if exit == "sent" { 2 } else { 1 }, "{answers:?}");
    }
}

#[tokio::test]
async fn a_delay_holds_the_run_up() {
    let (app, dana) = running(&drawflow(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_text", json!({ "text": "one moment" }), &["3"]),
        ("3", "delay", json!({ "seconds": 1 }), &["4"]),
        ("4", "send_text", json!({ "text": "here" }), &[]),
    ]))
    .await;
    app.customer_writes(PHONE, "hi").await;
    assert_eq!(run_once(&dana, "waiting").await["nodeId"], "3");
    // What the customer says meanwhile does not cut it short.
    app.customer_writes(PHONE, "hello?").await;
    assert!(last_of(&app, 2).await.contains("here"));
    let shown: Vec<_> = app.phone_shows(PHONE).await.into_iter().filter(|it| it["direction"] == "out").collect();
    let at = |n: usize| chrono::DateTime::parse_from_rfc3339(shown[n]["at"].as_str().expect("a time")).expect("a time");
    let between = at(1) - at(0);
    assert!(between >= chrono::TimeDelta::milliseconds(900), "{between}");
    assert_eq!(app.answers(PHONE).await.len(), 2);
}
