//! What people decide about templates: work approval, categories, deletions.

use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp};
use tests::templates::{fields, hebrew, hebrew_with};
use uuid::Uuid;

use crate::rest::refused;

const TEMPLATES: &str = "/api/templates";

/// An account with an approved template; its id.
async fn approved(app: &TestApp, dana: &SignedIn, name: &str) -> String {
    dana.has_line().await;
    let id = dana.submits(&hebrew(name)).await["id"].as_str().expect("an id").to_owned();
    app.meta_decides(name, &json!({ "event": "APPROVED" })).await;
    dana.template_is(name, "status", "APPROVED").await;
    id
}

#[tokio::test]
async fn work_approval_is_taken_back_and_given_again() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let id = approved(&app, &dana, "ours").await;
    for (on, sendable) in [(false, false), (true, true)] {
        let row = dana.put(TEMPLATES, &json!({ "id": id, "isWorkApproved": on })).await.ok();
        assert_eq!(json!([row["isWorkApproved"], row["sendable"]]), json!([on, sendable]), "{row}");
    }
    assert_eq!(app.events("template.work_approval_withdrawn").await, 1);
    refused(&dana.put(TEMPLATES, &json!({ "id": id })).await, 400, "invalid_request");
    let nobodys = json!({ "id": Uuid::new_v4(), "isWorkApproved": true });
    let unknown = dana.put(TEMPLATES, &nobodys).await;
    refused(&unknown, 404, "not_found");
    let mallory = app.account("mallory").await;
    let foreign = mallory.put(TEMPLATES, &json!({ "id": id, "isWorkApproved": false })).await;
    assert_eq!((foreign.status, foreign.body), (unknown.status, unknown.body));
    assert_eq!(dana.template("ours").await.expect("a row")["isWorkApproved"], true);
}

#[tokio::test]
async fn a_category_metas_people_chose_is_not_sent_until_somebody_agrees() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let id = approved(&app, &dana, "ours").await;
    app.meta_decides("ours", &json!({ "correctCategory": "MARKETING" })).await;
    let announced = dana.template_is("ours", "announcedCategory", "MARKETING").await;
    assert_eq!(announced["sendable"], true, "a day's notice");
    app.meta_decides("ours", &json!({ "category": "MARKETING", "correctCategory": "MARKETING" })).await;
    let moved = dana.template_is("ours", "category", "MARKETING").await;
    assert_eq!(json!([moved["categoryBlocked"], moved["sendable"]]), json!([true, false]), "{moved}");
    let bare = dana.put(TEMPLATES, &json!({ "id": id, "nonUtilityOverride": true })).await;
    assert_eq!(fields(&bare), ["nonUtilityOverrideReason"], "{}", bare.text);
    let word = json!({ "id": id, "nonUtilityOverride": true, "nonUtilityOverrideReason": "the client knows" });
    let agreed = dana.put(TEMPLATES, &word).await.ok();
    assert_eq!(json!([agreed["categoryBlocked"], agreed["sendable"]]), json!([false, true]), "{agreed}");
    assert_eq!(agreed["nonUtilityOverrideReason"], "the client knows");
}

#[tokio::test]
async fn a_deletion_is_metas_too_and_blocks_the_name() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let id = approved(&app, &dana, "ours").await;
    dana.submits(&hebrew_with("ours", json!({ "language": "en_US" }))).await;
    let approval = json!({ "clientApprovalConfirmed": true, "clientApprovalReason": "not used any more" });
    let deleted = dana.call(reqwest::Method::DELETE, "/api/templates/ours", Some(&approval)).await.ok();
    let rows: Vec<Value> =
        deleted["deleted"].as_array().expect("rows").iter().map(|it| json!([it["language"], it["status"]])).collect();
    assert_eq!((&deleted["success"], json!(rows)), (&json!(true), json!([["en_US", "DELETED"], ["he", "DELETED"]])));
    assert!(deleted["deleted"][1]["nameBlockedUntil"].is_string(), "{deleted}");
    assert_eq!(app.at_meta().await["templates"], json!([]));
    assert_eq!(dana.template("ours").await, None);
    for language in ["he", "en_US", "fr"] {
        let again = dana.post(TEMPLATES, &hebrew_with("ours", json!({ "language": language }))).await;
        refused(&again, 409, "template_name_blocked");
    }
    let history = dana.get(&format!("/api/templates/{id}/history?type=template.deletion_requested")).await.ok();
    let kept = &history[0]["payload"]["clientApproval"];
    assert_eq!(kept, &json!({ "confirmed": true, "reason": "not used any more" }));
    refused(&dana.delete("/api/templates/ours").await, 404, "not_found");
    app.forget_the_last_sync().await;
    let report = dana.get(TEMPLATES).await.ok();
    assert_eq!(json!([report["syncReport"]["discovered"], report["syncReport"]["changed"]]), json!([0, 0]));
}

#[tokio::test]
async fn one_language_goes_and_a_disabled_template_stays() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    for language in ["he", "en_US"] {
        dana.submits(&hebrew_with("ours", json!({ "language": language }))).await;
    }
    let deleted = dana.delete("/api/templates/ours?language=he").await.ok();
    assert_eq!(deleted["deleted"].as_array().map(Vec::len), Some(1));
    assert_eq!(dana.template("ours").await.expect("the other")["language"], "en_US");
    assert_eq!(app.at_meta().await["templates"].as_array().map(Vec::len), Some(1));
    // It was never approved: its name is free.
    dana.submits(&hebrew("ours")).await;
    app.meta_decides("ours", &json!({ "event": "DISABLED", "language": "he" })).await;
    tests::app::eventually("a disabled one", async || {
        let list = dana.get("/api/templates?name=ours&status=DISABLED").await.ok();
        list["templates"].as_array()?.first().cloned()
    })
    .await;
    refused(&dana.delete("/api/templates/ours").await, 409, "template_disabled");
    assert_eq!(app.events("template.deletion_requested").await, 1, "none of them was touched");
    let mallory = app.account("mallory").await;
    refused(&mallory.delete("/api/templates/ours").await, 404, "not_found");
}
