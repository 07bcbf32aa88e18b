//! Groups of templates.

use serde_json::{Value, json};
use tests::app::{LINE, TestApp};
use tests::templates::{fields, hebrew};
use uuid::Uuid;

use crate::rest::refused;

const GROUPS: &str = "/api/templates/groups";

fn member(name: &str) -> Value {
    json!({ "name": name, "language": "he" })
}

#[tokio::test]
async fn a_group_is_made_changed_and_deleted_and_a_picker_sees_it() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    for name in ["one", "two"] {
        dana.submits(&hebrew(name)).await;
    }
    app.meta_decides("one", &json!({ "event": "APPROVED" })).await;
    dana.template_is("one", "status", "APPROVED").await;
    let group = json!({ "name": "Bookings", "templates": [member("one"), member("two")], "description": "variants" });
    let answer = dana.post(GROUPS, &group).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
    let made = answer.body;
    assert_eq!(
        (&made["pickStrategy"], &made["preferredPhoneNumberId"]),
        (&json!("preferred_then_others"), &Value::Null)
    );
    let standing: Vec<Value> =
        made["templates"].as_array().expect("members").iter().map(|it| json!([it["status"], it["sendable"]])).collect();
    assert_eq!(json!(standing), json!([["APPROVED", true], ["PENDING", false]]));
    let id = made["id"].as_str().expect("an id");
    let change = json!({ "id": id, "templates": [member("two"), member("one")], "pickStrategy": "round_robin",
                         "preferredPhoneNumberId": LINE, "name": "Confirmations" });
    let changed = dana.put(GROUPS, &change).await.ok();
    assert_eq!(json!([changed["name"], changed["description"]]), json!(["Confirmations", "variants"]));
    assert_eq!(json!([changed["pickStrategy"], changed["preferredPhoneNumberId"]]), json!(["round_robin", LINE]));
    assert_eq!(changed["templates"][0]["name"], "two");
    let picker = dana.get(GROUPS).await.ok();
    assert_eq!(picker["groups"], json!([changed]));
    let available: Vec<&Value> =
        picker["availableTemplates"].as_array().expect("rows").iter().map(|it| &it["name"]).collect();
    assert_eq!(available, ["one"]);
    assert_eq!(picker["phoneLines"][0]["phoneNumberId"], LINE);
    let unpinned = dana.put(GROUPS, &json!({ "id": id, "preferredPhoneNumberId": "" })).await.ok();
    assert_eq!(unpinned["preferredPhoneNumberId"], Value::Null);
    let gone = dana.delete(&format!("{GROUPS}?id={id}")).await.ok();
    assert_eq!(gone, json!({ "success": true }));
    assert_eq!(dana.get(GROUPS).await.ok()["groups"], json!([]));
    refused(&dana.put(GROUPS, &json!({ "id": id, "name": "x" })).await, 404, "not_found");
    let history = dana.get(&format!("/api/audit/template_group/{id}/events")).await.ok();
    let kinds: Vec<&str> = history.as_array().expect("events").iter().filter_map(|it| it["type"].as_str()).collect();
    let expected = [
        "template_group.created",
        "template_group.renamed",
        "template_group.members_changed",
        "template_group.strategy_changed",
        "template_group.line_pinned",
        "template_group.line_pinned",
        "template_group.deleted",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_group_holds_the_accounts_own_templates_alone() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    // Nobody here has heard of it yet; Meta has.
    app.made_at_meta(&json!({ "name": "made_elsewhere", "language": "he" })).await;
    let group = |members: Value| json!({ "name": "g", "templates": members });
    dana.post(GROUPS, &group(json!([member("made_elsewhere")]))).await.ok();
    let unknown = dana.post(GROUPS, &group(json!([member("made_elsewhere"), member("nobodys")]))).await;
    assert_eq!(fields(&unknown), ["templates[1]"], "{}", unknown.text);
    let line = json!({ "name": "g", "templates": [], "preferredPhoneNumberId": "999" });
    assert_eq!(fields(&dana.post(GROUPS, &line).await), ["preferredPhoneNumberId"]);
    for wrong in [
        json!({ "name": "g" }),
        json!({ "name": " ", "templates": [] }),
        json!({ "name": "g", "templates": [], "pickStrategy": "best" }),
        json!({ "name": "g", "templates": [{ "name": "a" }] }),
        json!({ "name": "g", "templates": [member("made_elsewhere"), member("made_elsewhere")] }),
        json!({ "name": "g", "templates": [], "colour": 1 }),
    ] {
        refused(&dana.post(GROUPS, &wrong).await, 400, "invalid_request");
    }
    let mallory = app.account("mallory").await;
    let id = dana.get(GROUPS).await.ok()["groups"][0]["id"].as_str().expect("an id").to_owned();
    for id in [id.as_str(), &Uuid::new_v4().to_string()] {
        refused(&mallory.put(GROUPS, &json!({ "id": id, "name": "mine" })).await, 404, "not_found");
        refused(&mallory.delete(&format!("{GROUPS}?id={id}")).await, 404, "not_found");
    }
    assert_eq!(dana.get(GROUPS).await.ok()["groups"].as_array().map(Vec::len), Some(1));
}
