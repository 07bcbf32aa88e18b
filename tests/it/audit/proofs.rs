//! `GET /api/audit/verify` and `flowbot audit verify`.

use api::config::Cli;
use clap::Parser;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp, eventually};

use crate::audit::stranger;

/// Waits until the log is sealed up to here, and answers what verifying it says.
pub async fn sealed_to(account: &SignedIn, events: i64) -> Value {
    eventually("a sealed log", async || {
        let verified = account.get("/api/audit/verify").await.ok();
        (verified["sealedTo"].as_i64() >= Some(events)).then_some(verified)
    })
    .await
}

pub async fn has_leads(account: &SignedIn, from: u32, leads: u32) {
    for n in from..from + leads {
        let lead = json!({ "phone": format!("+97250{n:07}"), "name": format!("Dana \"D\" Levi-{n} ✓") });
        account.post("/api/leads", &lead).await.ok();
    }
}

pub async fn all_events(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(&app.database.pool).await.expect("a count")
}

/// Many events of one account, in a few transactions.
pub async fn fill(app: &TestApp, tenant: &str, events: i64, bytes: i32) {
    let fill = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                select 'note', $1 || '/' || gen_random_uuid(), 1, 'note.made', '1',
                       json_build_object('type', 'captured', 'note', repeat('נ', $3)), '{}' from generate_series(1, $2)";
    sqlx::query(fill).bind(tenant).bind(events).bind(bytes).execute(&app.database.pool).await.expect("events");
}

#[tokio::test]
async fn an_event_is_proved_to_its_account_alone() {
    let app = TestApp::start().await;
    let (dana, other) = (app.account("dana").await, app.account("other").await);
    assert_eq!(app.call(Method::GET, "/api/audit/verify", None, &[]).await.status, StatusCode::UNAUTHORIZED);
    has_leads(&dana, 1, 3).await;
    fill(&app, &dana.id, 3, 10).await;
    has_leads(&other, 10, 2).await;
    let verified = sealed_to(&dana, all_events(&app).await).await;
    assert_eq!((&verified["valid"], &verified["firstBadBatch"]), (&json!(true), &Value::Null));
    assert_eq!(verified["head"]["number"], verified["sealedTo"]);
    let public = verified["publicKey"].as_str().expect("a key");

    let id = "select event_id::text from events where tenant_id = $1 and event_type = 'note.made' limit 1";
    let id: String = sqlx::query_scalar(id).bind(&dana.id).fetch_one(&app.database.pool).await.expect("an event");
    let answer = dana.get(&format!("/api/audit/verify?event={id}")).await.ok();
    let proof = &answer["proof"];
    assert_eq!(
        (&answer["valid"], &answer["batches"], &proof["event"]["eventId"]),
        (&json!(true), &json!(1), &json!(id))
    );
    assert!(stranger::includes(proof, public));
    assert!(proof["event"]["payload"].as_str().is_some_and(|payload| payload.contains("ננ")));
    let position = proof["event"]["position"].as_str().expect("a position");
    let by_position = dana.get(&format!("/api/audit/verify?event={position}")).await.ok();
    assert_eq!(&by_position["proof"], proof);
    for change in ["payload", "eventType", "recordedAtMicros", "position"] {
        let mut changed = proof.clone();
        changed["event"][change] = json!("x");
        assert!(!stranger::includes(&changed, public), "{change}");
    }
    for unknown in [id.as_str(), position] {
        let refused = other.get(&format!("/api/audit/verify?event={unknown}")).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text);
    }
    for unknown in [uuid::Uuid::nil().to_string(), "9-9-9".to_owned(), "x".to_owned()] {
        assert_eq!(dana.get(&format!("/api/audit/verify?event={unknown}")).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(dana.get("/api/audit/verify?from=3&to=2").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(dana.get("/api/audit/verify?from=0").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_cut_log_is_found_out_by_the_head_that_was_kept() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    has_leads(&dana, 1, 1).await;
    let before = sealed_to(&dana, all_events(&app).await).await["head"].clone();
    has_leads(&dana, 2, 1).await;
    let after = sealed_to(&dana, all_events(&app).await).await["head"].clone();
    assert_ne!(before, after);
    let file = app.config.data_dir.join("audit-head.json");
    let kept = eventually("the head in its file", async || {
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
        (kept == after).then_some(kept)
    });
    kept.await;
    let verify = async |more: &[&str]| {
        let (url, dir) = (app.database.url().await, app.database.data_dir());
        let arguments = [
            "flowbot",
            "audit",
            "verify",
            "--database-url",
            &url,
            "--data-dir",
            &dir,
            "--secret-key",
            tests::SECRET_KEY,
        ];
        api::commands::run(Cli::parse_from([&arguments, more].concat())).await
    };
    verify(&[]).await.expect("a valid log");
    verify(&["--from", "1", "--to", "1"]).await.expect("a valid range");

    let cut = "alter table events disable trigger all; alter table seals disable trigger all;
               delete from events where global_position = (select max(global_position) from events);
               delete from seals where batch = (select max(batch) from seals);
               alter table seals enable trigger all; alter table events enable trigger all";
    sqlx::raw_sql(cut).execute(&app.database.pool).await.expect("a cut");
    let batch = after["batch"].as_i64().expect("a batch");
    let found = dana.get("/api/audit/verify").await.ok();
    assert_eq!((&found["valid"], &found["firstBadBatch"]), (&json!(false), &json!(batch)), "{found}");
    let refused = format!("{:#}", verify(&[]).await.expect_err("a cut log"));
    assert!(refused.contains(&format!("batch {batch}")), "{refused}");
    let earlier = file.with_file_name("earlier.json");
    std::fs::write(&earlier, before.to_string()).expect("a file");
    verify(&["--head", earlier.to_str().expect("a path")]).await.expect("an earlier head still holds");
}
