//! Groups from one line to another.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp};
use tests::templates::hebrew;
use uuid::Uuid;

use crate::rest::refused;

const MIGRATION: &str = "/api/templates/waba-migration";
const GROUPS: &str = "/api/templates/groups";
const NEW_LINE: &str = "100000000000009";
const NEW_WABA: &str = "200000000000009";

async fn made_there(app: &TestApp, name: &str, status: &str) {
    let template = json!({ "name": name, "language": "he", "status": status });
    let path = format!("/sandbox/accounts/{NEW_WABA}/templates");
    app.call(Method::POST, &path, Some(&template), &[]).await.ok();
}

async fn lines_of_groups(who: &SignedIn) -> Value {
    let export = who.get(MIGRATION).await.ok();
    export["groups"].as_array().expect("groups").iter().map(|it| json!([it["name"], it["phoneNumberId"]])).collect()
}

#[tokio::test]
async fn groups_move_to_a_line_and_their_templates_are_looked_for_there() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let names = ["approved", "pending", "missing", "paused"];
    for name in names {
        app.approves(&dana, &hebrew(name)).await;
    }
    let line = json!({ "phoneNumberId": NEW_LINE, "wabaId": NEW_WABA, "accessToken": "sandbox-token",
                       "displayPhoneNumber": "+1 555 000 2222" });
    dana.post("/api/settings/whatsapp", &line).await.ok();
    // Nobody here has heard of these yet.
    for (name, status) in [("approved", "APPROVED"), ("pending", "PENDING"), ("paused", "PAUSED")] {
        made_there(&app, name, status).await;
    }
    let members: Vec<Value> = names.iter().map(|name| json!({ "name": name, "language": "he" })).collect();
    let group = |name: &str, line: &str| json!({ "name": name, "templates": members, "preferredPhoneNumberId": line });
    let mut ids = Vec::new();
    for (name, line) in [("pinned", LINE), ("free", ""), ("there", NEW_LINE)] {
        let made = dana.post(GROUPS, &group(name, line)).await.ok();
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    let export = dana.get(MIGRATION).await.ok();
    let shown: Vec<Value> = export["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|it| json!([it["phoneNumberId"], it["wabaId"]]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([[LINE, tests::templates::WABA], [null, tests::templates::WABA], [NEW_LINE, NEW_WABA]])
    );
    assert_eq!(export["groups"][0]["templates"][2]["found"], "approved", "{export}");
    assert_eq!(export["lines"].as_array().map(Vec::len), Some(2));

    let wish = json!({ "toPhoneNumberId": NEW_LINE, "fromPhoneNumberId": LINE, "dryRun": true });
    app.forget_the_last_sync().await;
    let dry = dana.post(MIGRATION, &wish).await.ok();
    let found: Vec<&Value> =
        dry["groups"][0]["templates"].as_array().expect("rows").iter().map(|it| &it["found"]).collect();
    assert_eq!(json!(found), json!(["approved", "pending", "missing", "other"]), "{dry}");
    assert_eq!(dry["groups"][0]["templates"][3]["status"], "PAUSED");
    let facts =
        ["dryRun", "stale", "remapped", "approved", "pending", "missing", "other"].map(|name| dry[name].clone());
    assert_eq!(json!(facts), json!([true, false, 1, 1, 1, 1, 1]));
    assert_eq!(lines_of_groups(&dana).await, json!([["pinned", LINE], ["free", null], ["there", NEW_LINE]]));

    let named = json!({ "toPhoneNumberId": NEW_LINE, "groupIds": [ids[0]] });
    let done = dana.post(MIGRATION, &named).await.ok();
    assert_eq!(json!([done["remapped"], done["groups"][0]["result"]]), json!([1, "remapped"]), "{done}");
    assert_eq!(lines_of_groups(&dana).await, json!([["pinned", NEW_LINE], ["free", null], ["there", NEW_LINE]]));
    let all = dana.post(MIGRATION, &json!({ "toPhoneNumberId": NEW_LINE })).await.ok();
    let results: Vec<&Value> = all["groups"].as_array().expect("rows").iter().map(|it| &it["result"]).collect();
    assert_eq!(json!(results), json!(["unchanged", "remapped", "unchanged"]));
    assert_eq!(app.events("template_group.line_pinned").await, 2);
    let events =
        dana.get(&format!("/api/audit/template_group/{}/events?type=template_group.line_pinned", ids[1])).await.ok();
    assert_eq!(events[0]["payload"]["phoneNumberId"], NEW_LINE);
}

#[tokio::test]
async fn lines_and_groups_are_the_accounts_own() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let group = dana.post(GROUPS, &json!({ "name": "g", "templates": [] })).await.ok();
    let mallory = app.account("mallory").await;
    mallory.has_line_id(NEW_LINE).await;
    let foreign = mallory.post(MIGRATION, &json!({ "toPhoneNumberId": LINE })).await;
    refused(&foreign, 404, "not_found");
    assert_eq!(mallory.post(MIGRATION, &json!({ "toPhoneNumberId": "9" })).await.body, foreign.body);
    let named = |id: &Value| json!({ "toPhoneNumberId": NEW_LINE, "groupIds": [id] });
    let foreign = mallory.post(MIGRATION, &named(&group["id"])).await;
    refused(&foreign, 404, "not_found");
    assert_eq!(mallory.post(MIGRATION, &named(&json!(Uuid::new_v4()))).await.body, foreign.body);
    for wrong in [json!({}), json!({ "toPhoneNumberId": LINE, "groupIds": [] }), json!({ "to": LINE })] {
        refused(&dana.post(MIGRATION, &wrong).await, 400, "invalid_request");
    }
    assert_eq!(lines_of_groups(&dana).await, json!([["g", null]]));
}
