//! From what somebody wrote to what Meta took.

use futures::future::join_all;
use serde_json::{Value, json};
use tests::app::{LINE, TestApp, eventually};
use tests::templates::{WABA, fields, hebrew, hebrew_with};

use crate::rest::refused;

const TEMPLATES: &str = "/api/templates";

#[tokio::test]
async fn the_hebrew_template_goes_from_post_to_approved_and_into_its_group() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let name = "salon_yofi_confirmation_v1";
    let submitted = dana.submits(&hebrew_with(name, json!({ "targetGroupName": "Booking Confirmations" }))).await;
    assert_eq!((&submitted["status"], &submitted["sendable"]), (&json!("PENDING"), &json!(false)), "{submitted}");
    assert_eq!(submitted["components"], hebrew(name)["components"]);
    assert_eq!(app.at_meta().await["templates"][0]["components"], hebrew(name)["components"]);
    app.meta_decides(name, &json!({ "event": "APPROVED" })).await;
    let approved = dana.template_is(name, "status", "APPROVED").await;
    assert_eq!((&approved["sendable"], &approved["wabaId"]), (&json!(true), &json!(WABA)), "{approved}");
    let group = eventually("the group", async || {
        let picker = dana.get("/api/templates/groups").await.ok();
        picker["groups"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(group["name"], "Booking Confirmations");
    assert_eq!(group["id"], approved["targetGroupId"]);
    assert_eq!(group["templates"][0]["templateId"], approved["id"]);
    let path = format!("/api/templates/{}/history", approved["id"].as_str().expect("an id"));
    let history = dana.get(&path).await.ok();
    let kinds: Vec<&str> = history.as_array().expect("events").iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(kinds, ["template.submitted", "template.accepted", "template.status_changed"]);
    assert_eq!(history[0]["actor"], json!(format!("user:{}", dana.id)));
    // A second one joins the same group.
    dana.submits(&hebrew_with("salon_v2", json!({ "targetGroupName": "Booking Confirmations" }))).await;
    eventually("two in the group", async || {
        let picker = dana.get("/api/templates/groups").await.ok();
        (picker["groups"].as_array()?.len() == 1 && picker["groups"][0]["templates"].as_array()?.len() == 2)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_problem_is_named_at_once() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let wrong = json!({
        "name": "Salon Yofi!", "language": "hebrew", "category": "MARKETING", "targetGroupName": " ",
        "components": [
            { "type": "HEADER", "format": "TEXT", "text": "x".repeat(61) },
            { "type": "BODY", "text": "{{1}}{{3}} and" },
            { "type": "FOOTER", "text": "see {{1}} there" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "yes" },
                { "type": "URL", "text": "Open", "url": "https://x.example/{{1}}" },
                { "type": "QUICK_REPLY", "text": "x".repeat(26) }] },
            { "type": "SIDEBAR" }
        ]
    });
    let answer = dana.post(TEMPLATES, &wrong).await;
    refused(&answer, 400, "invalid_request");
    let expected = [
        "name",
        "language",
        "nonUtilityOverride",
        "nonUtilityOverrideReason",
        "components[0].text",
        // It begins with a placeholder, two are side by side, the numbers have a gap, there are too few words.
        "components[1].text",
        "components[1].text",
        "components[1].text",
        "components[1].text",
        "components[1].example.body_text",
        "components[2].text",
        "components[3].buttons",
        "components[3].buttons[1].example",
        "components[3].buttons[2].text",
        "components[4].type",
        "targetGroupName",
    ];
    assert_eq!(fields(&answer), expected, "{}", answer.text);
    assert_eq!(app.events("template.submitted").await, 0);
    for (wrong, field) in [
        (json!({ "name": "a" }), "language"),
        (hebrew_with("a", json!({ "colour": 1 })), "colour"),
        (hebrew_with("a", json!({ "components": "BODY" })), "components"),
    ] {
        let answer = dana.post(TEMPLATES, &wrong).await;
        refused(&answer, 400, "invalid_request");
        assert!(fields(&answer).iter().any(|it| it == field), "{}", answer.text);
    }
}

#[tokio::test]
async fn another_category_than_utility_needs_a_word_that_is_kept() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let marketing = |extra: Value| {
        let mut template = hebrew_with("spring", json!({ "category": "MARKETING" }));
        template.as_object_mut().expect("members").extend(extra.as_object().cloned().unwrap_or_default());
        template
    };
    let bare = dana.post(TEMPLATES, &marketing(json!({}))).await;
    assert_eq!(fields(&bare), ["nonUtilityOverride", "nonUtilityOverrideReason"]);
    let word = json!({ "nonUtilityOverride": true, "nonUtilityOverrideReason": "spring sale, agreed with Dana" });
    let submitted = dana.submits(&marketing(word)).await;
    assert_eq!(submitted["nonUtilityOverrideReason"], "spring sale, agreed with Dana");
    let path = format!("/api/audit/template/{}/events", submitted["id"].as_str().expect("an id"));
    let first = &dana.get(&path).await.ok()[0];
    assert_eq!(first["payload"]["nonUtilityOverride"], "spring sale, agreed with Dana");
    let mut utility = hebrew("no_category");
    utility.as_object_mut().expect("members").remove("category");
    assert_eq!(dana.submits(&utility).await["category"], "UTILITY");
}

#[tokio::test]
async fn metas_refusals_are_told_by_the_field_they_are_about() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    for (code, field) in [
        ("2388047", "components[0]"),
        ("2388072", "components[1]"),
        ("2388293", "components[1]"),
        ("2388073", "components[2]"),
        ("2388040", "components"),
        ("2388024", "name"),
    ] {
        let name = format!("refused_{code}");
        let answer = dana.post(TEMPLATES, &hebrew(&name)).await;
        refused(&answer, 400, "invalid_request");
        assert_eq!(fields(&answer), [field], "{}", answer.text);
        assert!(answer.body["problems"][0]["reason"].as_str().is_some_and(|it| it.contains(code)), "{}", answer.text);
        let row = dana.template_is(&name, "status", "REFUSED").await;
        assert!(row["submissionError"].as_str().is_some_and(|it| !it.is_empty()), "{row}");
    }
    // What was refused used nothing of the allowance.
    let used = sqlx::query_scalar("select cardinality(creations) from template_accounts");
    let used: i32 = used.fetch_one(&app.database.pool).await.expect("a row");
    assert_eq!(used, 0);
}

#[tokio::test]
async fn a_name_is_submitted_once_however_many_try() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let template = hebrew("once");
    let answers = join_all((0..10).map(|_| dana.post(TEMPLATES, &template))).await;
    let made = answers.iter().filter(|it| it.status.as_u16() == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.iter().filter(|it| it.status.as_u16() != 201) {
        assert_eq!(answer.status.as_u16(), 409, "{}", answer.text);
    }
    refused(&dana.post(TEMPLATES, &template).await, 409, "template_exists");
    let english = hebrew_with("once", json!({ "language": "en_US" }));
    dana.submits(&english).await;
    assert_eq!(app.at_meta().await["templates"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_file_becomes_the_handle_of_an_upload() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let header = json!({ "type": "HEADER", "format": "IMAGE", "example": { "header_media": {
        "fileName": "salon.png", "contentType": "image/png", "data": "iVBORw0KGgo=" } } });
    let components = json!([header, { "type": "BODY", "text": "Your picture is ready" }]);
    let made = dana.submits(&hebrew_with("picture", json!({ "components": components }))).await;
    let example = &made["components"][0]["example"];
    assert!(example["header_handle"][0].as_str().is_some_and(|it| it.starts_with("4::upload:")), "{made}");
    assert!(example["header_media"].is_null(), "{made}");
}

#[tokio::test]
async fn an_hour_takes_a_hundred_submissions_whoever_counts() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("first")).await;
    let used =
        "update template_accounts set creations = array_fill(now() - interval '50 minutes', array[98]) || creations";
    sqlx::query(used).execute(&app.database.pool).await.expect("an update");
    let names: Vec<Value> = (0..4).map(|n| hebrew(&format!("race_{n}"))).collect();
    let answers = join_all(names.iter().map(|template| dana.post(TEMPLATES, template))).await;
    let made = answers.iter().filter(|it| it.status.as_u16() == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.iter().filter(|it| it.status.as_u16() != 201) {
        refused(answer, 429, "rate_limited");
        let wait: u64 = answer.header("retry-after").and_then(|it| it.parse().ok()).expect("seconds");
        assert!((540..=600).contains(&wait), "{wait}");
    }
    let older = "update template_accounts set creations = array_fill(now() - interval '61 minutes', array[100])";
    sqlx::query(older).execute(&app.database.pool).await.expect("an update");
    dana.submits(&hebrew("later")).await;
}

#[tokio::test]
async fn what_has_no_place_to_go_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    refused(&dana.post(TEMPLATES, &hebrew("no_line")).await, 409, "no_line");
    assert_eq!(dana.get(TEMPLATES).await.ok()["syncReport"]["accounts"], json!([]));
    dana.has_line().await;
    let group = "5f5f6c1e-3c0a-5e0e-8a5c-0f6e2f9c7b11";
    let nowhere = dana.post(TEMPLATES, &hebrew_with("a", json!({ "targetGroupId": group }))).await;
    assert_eq!(fields(&nowhere), ["targetGroupId"], "{}", nowhere.text);
    let both = json!({ "targetGroupId": group, "targetGroupName": "x" });
    assert_eq!(fields(&dana.post(TEMPLATES, &hebrew_with("a", both)).await), ["targetGroupName"]);
    let line = json!({ "phoneNumberId": LINE, "wabaId": WABA, "accessToken": "expired", "isPrimary": true });
    dana.post("/api/settings/whatsapp", &line).await.ok();
    refused(&dana.post(TEMPLATES, &hebrew("expired")).await, 502, "provider_refused");
    let listed = dana.get(TEMPLATES).await.ok();
    assert_eq!((&listed["syncReport"]["stale"], &listed["templates"][0]["status"]), (&json!(true), &json!("REFUSED")));
}
