//! What Meta thinks of a template, by list and by webhook.

use std::sync::Arc;

use application::templates::ports::{SyncGate as _, Turn};
use application::templates::sync::AccountReport;
use domain::shared::ids::TenantId;
use futures::future::join_all;
use infrastructure::postgres::template_accounts::PgTemplateAccounts;
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::cluster::TestDatabase;
use tests::templates::{WABA, hebrew};
use uuid::Uuid;

const TEMPLATES: &str = "/api/templates";

#[tokio::test]
async fn twenty_lists_at_once_are_one_call_to_meta() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    app.made_at_meta(&json!({ "name": "made_elsewhere", "language": "he" })).await;
    let answers = join_all((0..20).map(|_| dana.get(TEMPLATES))).await;
    for answer in answers {
        let list = answer.ok();
        assert_eq!(list["templates"][0]["name"], "made_elsewhere", "{list}");
        assert_eq!((&list["syncReport"]["stale"], &list["syncReport"]["discovered"]), (&json!(false), &json!(1)));
    }
    assert_eq!(app.at_meta().await["lists"], 1);
    assert_eq!(app.events("template.discovered").await, 1);
}

#[tokio::test]
async fn a_sync_finds_what_is_new_what_changed_and_what_is_gone_and_then_nothing() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("ours")).await;
    app.meta_decides("ours", &json!({ "event": "REJECTED", "reason": "SCAM", "quiet": true })).await;
    app.made_at_meta(&json!({ "name": "new_one", "language": "en-US", "status": "PAUSED", "quality": "RED" })).await;
    // An hour ago Meta told of one that its list has no longer.
    let value = json!({ "event": "APPROVED", "message_template_id": 5, "message_template_name": "old_one",
                        "message_template_language": "he", "reason": "NONE" });
    app.deliver(&tests::webhook::of_account(WABA, "message_template_status_update", &value, 3_600)).await.ok();
    // The list is compared with the read model.
    tests::app::eventually("the old one", async || {
        let there = sqlx::query_scalar("select name from template_view where name = 'old_one'");
        there.fetch_optional(&app.database.pool).await.expect("a row").map(|_: String| ())
    })
    .await;
    app.forget_the_last_sync().await;
    let list = dana.get(TEMPLATES).await.ok();
    let report = &list["syncReport"];
    assert_eq!(
        json!([report["discovered"], report["changed"], report["vanished"], report["accounts"][0]["listed"]]),
        json!([1, 1, 1, 2]),
        "{list}"
    );
    let rows = list["templates"].as_array().expect("rows");
    let shown: Vec<Value> =
        rows.iter().map(|it| json!([it["name"], it["language"], it["status"], it["quality"]])).collect();
    let expected = json!([["new_one", "en_US", "PAUSED", "RED"], ["ours", "he", "REJECTED", "UNKNOWN"]]);
    assert_eq!(json!(shown), expected);
    assert_eq!(rows[1]["rejectionReason"], "SCAM");
    let deleted = dana.get("/api/templates?status=deleted").await.ok();
    assert_eq!(deleted["templates"][0]["name"], "old_one");
    let before: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    app.forget_the_last_sync().await;
    assert_eq!(dana.get(TEMPLATES).await.ok()["syncReport"]["changed"], 0);
    let after: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("n");
    assert_eq!(after, before, "a sync without news writes nothing");
}

#[tokio::test]
async fn a_long_list_is_read_to_its_end_and_shown_in_pages() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    for n in 0..130 {
        app.made_at_meta(&json!({ "name": format!("t{n:03}"), "language": "he" })).await;
    }
    let list = dana.get(TEMPLATES).await;
    assert_eq!((list.header("x-total-count"), list.header("x-next-cursor")), (Some("130"), None));
    assert_eq!(list.body["templates"].as_array().map(Vec::len), Some(130));
    assert_eq!(app.at_meta().await["lists"], 2);
    let first = dana.get("/api/templates?limit=100").await;
    let next = first.header("x-next-cursor").expect("a cursor").to_owned();
    let second = dana.get(&format!("/api/templates?limit=100&cursor={next}")).await.ok();
    let names: Vec<&Value> = second["templates"].as_array().expect("rows").iter().map(|it| &it["name"]).collect();
    assert_eq!((names.len(), names[0]), (30, &json!("t100")));
}

#[tokio::test]
async fn metas_quota_is_spared_and_the_rows_are_shown_all_the_same() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("ours")).await;
    let usage = format!("/sandbox/accounts/{WABA}/usage");
    app.call(reqwest::Method::POST, &usage, Some(&json!({ "percent": 81 })), &[]).await.ok();
    assert_eq!(dana.get(TEMPLATES).await.ok()["syncReport"]["stale"], false);
    app.forget_the_last_sync().await;
    for _ in 0..2 {
        let list = dana.get(TEMPLATES).await.ok();
        assert_eq!(list["syncReport"]["stale"], true, "{list}");
        assert!(list["syncReport"]["accounts"][0]["error"].as_str().is_some_and(|it| it.contains("quota")), "{list}");
        assert_eq!(list["templates"][0]["name"], "ours");
    }
    assert_eq!(app.at_meta().await["lists"], 1);
    // Our own count says so, too, whatever Meta says.
    let counted = "update template_accounts set usage_percent = 0, calls = 4000, attempted_at = null";
    sqlx::query(counted).execute(&app.database.pool).await.expect("an update");
    assert_eq!(dana.get(TEMPLATES).await.ok()["syncReport"]["stale"], true);
    let hour = "update template_accounts set calls_since = now() - interval '61 minutes'";
    sqlx::query(hour).execute(&app.database.pool).await.expect("an update");
    assert_eq!(dana.get(TEMPLATES).await.ok()["syncReport"]["stale"], false);
}

#[tokio::test]
async fn nothing_meta_says_is_hidden() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    dana.submits(&hebrew("ours")).await;
    let rejected = json!({ "event": "REJECTED", "reason": "INVALID_FORMAT", "explanation": "placeholders side by side",
                           "recommendation": "put words between them" });
    app.meta_decides("ours", &rejected).await;
    let row = dana.template_is("ours", "status", "REJECTED").await;
    assert_eq!(
        json!([row["rejectionReason"], row["rejectionExplanation"], row["rejectionRecommendation"]]),
        json!(["INVALID_FORMAT", "placeholders side by side", "put words between them"])
    );
    app.meta_decides("ours", &json!({ "event": "IN_APPEAL" })).await;
    dana.template_is("ours", "status", "IN_APPEAL").await;
    app.meta_decides("ours", &json!({ "event": "APPROVED" })).await;
    dana.template_is("ours", "sendable", true).await;
    app.meta_decides("ours", &json!({ "event": "PAUSED", "title": "FIRST_PAUSE" })).await;
    let paused = dana.template_is("ours", "status", "PAUSED").await;
    assert_eq!((&paused["pause"]["rung"], &paused["sendable"]), (&json!("FIRST_PAUSE"), &json!(false)));
    assert!(paused["pause"]["until"].is_string(), "{paused}");
    app.meta_decides("ours", &json!({ "event": "PAUSED", "title": "UNPAUSE" })).await;
    assert!(dana.template_is("ours", "status", "APPROVED").await["pause"].is_null());
    app.meta_decides("ours", &json!({ "event": "ON_THE_MOON" })).await;
    let odd = dana.template_is("ours", "status", "ON_THE_MOON").await;
    assert_eq!(odd["notSendableBecause"], "its status is ON_THE_MOON");
}

#[tokio::test]
async fn a_turn_on_one_node_answers_for_another() {
    let database = TestDatabase::create().await;
    let node = || Arc::new(PgTemplateAccounts::new(database.pool.clone(), Uuid::now_v7()));
    let (one, other, tenant) = (node(), node(), TenantId(Uuid::now_v7()));
    let Turn::Ours(turn) = one.enter(tenant, WABA).await.expect("a turn") else { panic!("ours") };
    let waiting = tokio::spawn(async move { other.enter(tenant, WABA).await });
    // Another business account does not wait.
    assert!(matches!(one.enter(tenant, "1").await.expect("a turn"), Turn::Ours(_)));
    let report = AccountReport { waba_id: WABA.to_owned(), listed: 7, ..AccountReport::default() };
    turn.finish(&report).await.expect("an end");
    let Turn::Recent(told) = waiting.await.expect("a task").expect("an answer") else { panic!("one turn for both") };
    assert_eq!(told, report);
    // A node that died in its turn holds it for a minute, not for ever.
    let dead = one.enter(tenant, "2").await.expect("a turn");
    drop(dead);
    let over = "update template_accounts set sync_until = now() - interval '1 second' where waba_id = '2'";
    sqlx::query(over).execute(&database.pool).await.expect("an update");
    assert!(matches!(node().enter(tenant, "2").await.expect("a turn"), Turn::Ours(_)));
}
