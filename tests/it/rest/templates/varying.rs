//! Other words for a body.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::templates::fields;

use crate::rest::refused;

const VARIANTS: &str = "/api/templates/ai-variants";
const SOURCE: &str = "שלום {{1}}, התור שלך נקבע ל-{{2}} בשעה {{3}}. נשמח לראות אותך!";

#[tokio::test]
async fn variants_keep_every_placeholder_and_can_be_submitted() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let wish = json!({ "sourceBody": SOURCE, "sourceCategory": "UTILITY", "count": 5, "extraInstructions": "short" });
    let answer = dana.post(VARIANTS, &wish).await.ok();
    assert_eq!(answer["provider"], "sandbox");
    let variants = answer["variants"].as_array().expect("variants");
    assert_eq!(variants.len(), 5, "{answer}");
    assert!(answer["remarks"].as_array().is_some_and(|it| it.len() == 2), "{answer}");
    for (n, variant) in variants.iter().enumerate() {
        let text = variant["text"].as_str().expect("a text");
        assert!(["{{1}}", "{{2}}", "{{3}}"].iter().all(|it| text.contains(it)) && text != SOURCE, "{text}");
        assert_eq!(variant["characters"], json!(text.chars().count()));
        let body = json!({ "type": "BODY", "text": text, "example": { "body_text": [["a", "b", "c"]] } });
        dana.submits(&json!({ "name": format!("v{n}"), "language": "he", "components": [body] })).await;
    }
    assert_eq!(dana.post(VARIANTS, &wish).await.ok()["variants"], answer["variants"], "the same wish, the same words");
    let three = dana.post(VARIANTS, &json!({ "sourceBody": "Your order {{order_id}} is ready now." })).await.ok();
    assert_eq!(three["variants"].as_array().map(Vec::len), Some(3));
    // What would be too long is not offered, and that is said.
    let long = format!("Hello {{{{1}}}}, {}.", "x".repeat(1_000));
    let long = dana.post(VARIANTS, &json!({ "sourceBody": long, "count": 3 })).await.ok();
    assert!(long["variants"].as_array().is_some_and(|it| it.len() < 3), "{long}");
    let said = long["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str);
    assert!(said.into_iter().any(|it| it.contains("keep to the rules")), "{long}");
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_itself_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for wrong in ["{{1}} hello there you", "Hello {{1", "Hello {{2}} and welcome to us"] {
        let answer = dana.post(VARIANTS, &json!({ "sourceBody": wrong })).await;
        refused(&answer, 400, "invalid_request");
        assert_eq!(fields(&answer)[0], "sourceBody", "{}", answer.text);
    }
    for wrong in [
        json!({}),
        json!({ "sourceBody": "Hello", "count": 11 }),
        json!({ "sourceBody": "Hello", "sourceCategory": "AUTHENTICATION" }),
        json!({ "sourceBody": "Hello", "extraInstructions": "x".repeat(1_001) }),
    ] {
        refused(&dana.post(VARIANTS, &wrong).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_person_has_ten_a_minute() {
    let limits = RateLimits { sign_in: None, patience: None, ..RateLimits::standard() };
    let app = TestApp::start_with(Options::default(), limits).await;
    let dana = app.account("dana").await;
    let eli = app.employee(&dana, "eli", &["templates"]).await;
    let wish = json!({ "sourceBody": SOURCE });
    for left in (0..10).rev() {
        let answer = dana.post(VARIANTS, &wish).await;
        assert_eq!(answer.header("ratelimit-remaining"), Some(left.to_string().as_str()), "{}", answer.text);
        answer.ok();
    }
    let refusal = dana.post(VARIANTS, &wish).await;
    refused(&refusal, 429, "rate_limited");
    assert!(refusal.header("retry-after").is_some());
    eli.post(VARIANTS, &wish).await.ok();
}
