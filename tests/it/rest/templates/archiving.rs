//! Templates and groups as they once were.

use serde_json::{Value, json};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::templates::hebrew;
use uuid::Uuid;

use crate::rest::refused;

const ARCHIVE: &str = "/api/templates/archive-history";
const GROUPS: &str = "/api/templates/groups";

fn member(name: &str) -> Value {
    json!({ "name": name, "language": "he" })
}

async fn makes_group(who: &SignedIn, name: &str, members: &[&str], line: Option<&str>) -> String {
    let members: Vec<Value> = members.iter().map(|name| member(name)).collect();
    let group = json!({ "name": name, "templates": members, "pickStrategy": "round_robin",
                        "preferredPhoneNumberId": line });
    who.post(GROUPS, &group).await.ok()["id"].as_str().expect("an id").to_owned()
}

async fn groups(who: &SignedIn) -> Value {
    let picker = who.get(GROUPS).await.ok();
    let shown = picker["groups"].as_array().expect("groups").iter().map(|it| {
        let names: Vec<&Value> = it["templates"].as_array().expect("members").iter().map(|it| &it["name"]).collect();
        json!([it["name"], it["pickStrategy"], it["preferredPhoneNumberId"], names])
    });
    shown.collect()
}

#[tokio::test]
async fn a_restore_brings_back_what_can_be_brought_back_and_says_what_cannot() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(app.approves(&dana, &hebrew(name)).await);
    }
    let kept = makes_group(&dana, "Bookings", &["one", "two"], Some(LINE)).await;
    let deleted = makes_group(&dana, "Reminders", &["three"], None).await;
    makes_group(&dana, "Untouched", &["one"], None).await;
    dana.put("/api/templates", &json!({ "id": ids[0], "isWorkApproved": false })).await.ok();
    let note = json!({ "action": "snapshot", "note": " before the spring " });
    let snapshot = dana.post(ARCHIVE, &note).await.ok()["snapshot"].clone();
    let facts = json!([snapshot["note"], snapshot["templates"], snapshot["groups"], snapshot["by"]]);
    assert_eq!(facts, json!(["before the spring", 3, 3, dana.id]));
    let before = groups(&dana).await;

    // Everything changes.
    let change = json!({ "id": kept, "name": "Other", "templates": [member("two")], "pickStrategy": "random",
                         "preferredPhoneNumberId": "" });
    dana.put(GROUPS, &change).await.ok();
    dana.delete(&format!("{GROUPS}?id={deleted}")).await.ok();
    makes_group(&dana, "Newer", &["one"], None).await;
    dana.put("/api/templates", &json!({ "id": ids[0], "isWorkApproved": true })).await.ok();
    let pause = json!({ "action": "pause_template", "templateId": ids[1] });
    dana.post("/api/templates/health-actions", &pause).await.ok();
    dana.delete("/api/templates/three").await.ok();
    let changed = groups(&dana).await;

    let restore = |extra: Value| {
        let mut body = json!({ "action": "restore", "snapshotId": snapshot["id"] });
        body.as_object_mut().expect("members").extend(extra.as_object().cloned().unwrap_or_default());
        body
    };
    let dry = dana.post(ARCHIVE, &restore(json!({ "dryRun": true }))).await.ok()["report"].clone();
    assert_eq!(groups(&dana).await, changed, "a dry run does nothing");
    let report = dana.post(ARCHIVE, &restore(json!({}))).await.ok()["report"].clone();
    assert_eq!((&dry["groups"], &dry["templates"]), (&report["groups"], &report["templates"]), "it says what would be");
    let counts = ["restored", "unchanged", "notRestored"].map(|name| report[name].clone());
    assert_eq!(json!(counts), json!([4, 1, 1]), "{report}");
    let results = |list: &str| -> Value {
        report[list].as_array().expect("rows").iter().map(|it| json!([it["name"], it["result"]])).collect()
    };
    let expected =
        json!([["Bookings", "restored"], ["Reminders", "restored"], ["Untouched", "unchanged"], ["Newer", "kept"]]);
    assert_eq!(results("groups"), expected);
    assert_eq!(results("templates"), json!([["one", "restored"], ["three", "gone"], ["two", "restored"]]));
    let gone = &report["templates"][1];
    assert!(gone["nameBlockedUntil"].is_string(), "{gone}");
    assert!(gone["notes"][0].as_str().is_some_and(|it| it.contains("blocks its name until")), "{gone}");
    let of_the_deleted = &report["groups"][1]["notes"][0];
    assert!(of_the_deleted.as_str().is_some_and(|it| it.starts_with("three (he) is not at Meta")), "{report}");
    let mut expected = before.as_array().expect("groups").clone();
    expected.push(json!(["Newer", "round_robin", null, ["one"]]));
    assert_eq!(groups(&dana).await, json!(expected));
    assert_eq!(dana.template("one").await.expect("a row")["isWorkApproved"], false);
    assert_eq!(dana.template("two").await.expect("a row")["ownPause"], Value::Null);
    // It is so now: nothing is left to do, and nothing was rewritten.
    let written: i64 =
        sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    let again = dana.post(ARCHIVE, &restore(json!({}))).await.ok()["report"].clone();
    assert_eq!((&again["restored"], &again["notRestored"]), (&json!(0), &json!(1)), "{again}");
    let after: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    assert_eq!(after, written);
    dana.post(ARCHIVE, &restore(json!({ "deleteNewer": true }))).await.ok();
    assert_eq!(groups(&dana).await, before);
    let entries = dana.get("/api/audit/entries?action=template_snapshot.restored").await.ok();
    assert_eq!(entries.as_array().map(Vec::len), Some(3), "a dry run is none: {entries}");
    let history =
        dana.get(&format!("/api/audit/template_group/{deleted}/events?type=template_group.restored")).await.ok();
    assert_eq!(history[0]["causationId"], json!(format!("snapshot:{}", snapshot["id"].as_str().expect("an id"))));
}

#[tokio::test]
async fn a_snapshot_shows_what_it_holds_and_is_its_accounts_own() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    assert_eq!(dana.get(ARCHIVE).await.ok(), json!({ "snapshots": [], "content": null }));
    let empty = dana.post(ARCHIVE, &json!({ "action": "snapshot" })).await.ok()["snapshot"].clone();
    let id = app.approves(&dana, &hebrew("one")).await;
    makes_group(&dana, "Bookings", &["one"], None).await;
    let body = json!({ "action": "snapshot" });
    let first = dana.keyed("k", reqwest::Method::POST, ARCHIVE, Some(&body)).await.ok();
    assert_eq!(dana.keyed("k", reqwest::Method::POST, ARCHIVE, Some(&body)).await.ok(), first);
    let full = first["snapshot"]["id"].as_str().expect("an id").to_owned();
    app.meta_decides("one", &json!({ "event": "DISABLED" })).await;
    eventually("a disabled one", async || {
        let list = dana.get("/api/templates?status=DISABLED").await.ok();
        (list["templates"][0]["name"] == "one").then_some(())
    })
    .await;
    let list = dana.get(ARCHIVE).await.ok();
    let ids: Vec<&Value> = list["snapshots"].as_array().expect("rows").iter().map(|it| &it["id"]).collect();
    assert_eq!(json!(ids), json!([full, empty["id"]]));
    let content = dana.get(&format!("{ARCHIVE}?snapshotId={full}")).await.ok()["content"].clone();
    let template = json!({ "id": id, "name": "one", "language": "he", "category": "UTILITY", "status": "APPROVED",
                           "isWorkApproved": true, "pausedHere": false });
    assert_eq!(content["templates"], json!([template]), "as it was then");
    assert_eq!(content["groups"][0]["templates"], json!([member("one")]));
    let before = dana.get(&format!("{ARCHIVE}?snapshotId={}", empty["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(before["content"], json!({ "groups": [], "templates": [] }));
    let mallory = app.account("mallory").await;
    let restore = |id: &str| json!({ "action": "restore", "snapshotId": id });
    let unknown = mallory.post(ARCHIVE, &restore(&Uuid::new_v4().to_string())).await;
    refused(&unknown, 404, "not_found");
    assert_eq!(mallory.post(ARCHIVE, &restore(&full)).await.body, unknown.body);
    refused(&mallory.get(&format!("{ARCHIVE}?snapshotId={full}")).await, 404, "not_found");
    for wrong in [
        json!({ "action": "restore" }),
        json!({ "action": "rewrite" }),
        json!({ "action": "snapshot", "snapshotId": full }),
        json!({ "action": "restore", "snapshotId": full, "note": "x" }),
        json!({ "action": "snapshot", "note": "x".repeat(501) }),
    ] {
        refused(&dana.post(ARCHIVE, &wrong).await, 400, "invalid_request");
    }
}
