//! What people do about a template that does badly.

use serde_json::{Value, json};
use tests::app::TestApp;
use tests::templates::{hebrew, hebrew_with};
use uuid::Uuid;

use crate::rest::refused;

const HEALTH: &str = "/api/templates/health-actions";

fn act(action: &str, id: &str) -> Value {
    json!({ "action": action, "templateId": id })
}

#[tokio::test]
async fn a_template_rests_until_somebody_lifts_it() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let id = app.approves(&dana, &hebrew("ours")).await;
    let group = json!({ "name": "g", "templates": [{ "name": "ours", "language": "he" }] });
    dana.post("/api/templates/groups", &group).await.ok();
    let pause = json!({ "action": "pause_template", "templateId": id, "reason": " the address is wrong " });
    let paused = dana.post(HEALTH, &pause).await.ok()["template"].clone();
    let shown = json!([paused["sendable"], paused["notSendableBecause"], paused["ownPause"]["reason"]]);
    assert_eq!(shown, json!([false, "somebody here paused it", "the address is wrong"]), "{paused}");
    assert_eq!((&paused["status"], paused["isWorkApproved"].as_bool()), (&json!("APPROVED"), Some(true)));
    let picker = dana.get("/api/templates/groups").await.ok();
    let member = &picker["groups"][0]["templates"][0];
    assert_eq!(member["notSendableBecause"], "somebody here paused it", "{picker}");
    // Whatever Meta thinks of it.
    app.meta_decides("ours", &json!({ "event": "PAUSED", "title": "FIRST_PAUSE" })).await;
    dana.template_is("ours", "status", "PAUSED").await;
    app.meta_decides("ours", &json!({ "event": "PAUSED", "title": "UNPAUSE" })).await;
    let back = dana.template_is("ours", "status", "APPROVED").await;
    assert_eq!(back["sendable"], false);
    for _ in 0..2 {
        let resumed = dana.post(HEALTH, &act("resume_template", &id)).await.ok();
        let template = &resumed["template"];
        assert_eq!(json!([template["sendable"], template["ownPause"]]), json!([true, null]), "{resumed}");
    }
    assert_eq!((app.events("template.sending_paused").await, app.events("template.sending_resumed").await), (1, 1));
    let off = dana.post(HEALTH, &act("mark_work_off", &id)).await.ok();
    assert_eq!(off["template"]["notSendableBecause"], "its work approval was taken back", "{off}");
    let history = dana.get(&format!("/api/templates/{id}/history?type=template.sending_paused")).await.ok();
    assert_eq!(history[0]["actor"], json!(format!("user:{}", dana.id)));
}

#[tokio::test]
async fn a_rewrite_is_proposed_and_nothing_is_sent_or_submitted() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let text = "שלום {{1}}, התור שלך נקבע ל-{{2}}! רק היום 20% הנחה על הכל. נשמח לראות אותך.";
    let body = json!({ "type": "BODY", "text": text, "example": { "body_text": [["שרה", "יום שלישי"]] } });
    let id = app.approves(&dana, &hebrew_with("ours", json!({ "components": [body] }))).await;
    let before: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    let answer = dana.post(HEALTH, &act("safe_utility_rewrite_dry_run", &id)).await.ok();
    let proposal = &answer["proposal"];
    let expected = "שלום {{1}}, התור שלך נקבע ל-{{2}}. נשמח לראות אותך.";
    assert_eq!(proposal["components"][0]["text"], expected, "{proposal}");
    let facts = json!([proposal["dryRun"], proposal["changed"], proposal["suggestedName"], proposal["problems"]]);
    assert_eq!(facts, json!([true, true, "ours_utility", []]));
    assert_eq!(proposal["reasons"].as_array().map(Vec::len), Some(2), "{proposal}");
    let after: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    assert_eq!((after, app.at_meta().await["templates"].as_array().map(Vec::len)), (before, Some(1)));
    // What is proposed can be submitted as it is.
    let proposed = json!({ "name": proposal["suggestedName"], "language": "he", "components": proposal["components"] });
    dana.submits(&proposed).await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let id = dana.submits(&hebrew("ours")).await["id"].as_str().expect("an id").to_owned();
    let mallory = app.account("mallory").await;
    for action in ["mark_work_off", "pause_template", "resume_template", "safe_utility_rewrite_dry_run"] {
        let unknown = mallory.post(HEALTH, &act(action, &Uuid::new_v4().to_string())).await;
        refused(&unknown, 404, "not_found");
        assert_eq!(mallory.post(HEALTH, &act(action, &id)).await.body, unknown.body, "{action}");
    }
    refused(&dana.post(HEALTH, &act("delete_everything", &id)).await, 400, "invalid_request");
    let reason = json!({ "action": "mark_work_off", "templateId": id, "reason": "x" });
    refused(&dana.post(HEALTH, &reason).await, 400, "invalid_request");
}
