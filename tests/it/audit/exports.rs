//! `GET /api/audit/export`: what somebody else can check without us.

use std::time::Duration;

use api::config::Cli;
use clap::Parser;
use futures::StreamExt;
use infrastructure::sealing::export_file::check;
use reqwest::StatusCode;
use serde_json::Value;
use tests::app::TestApp;
use uuid::Uuid;

use crate::audit::proofs::{all_events, fill, has_leads, sealed_to};
use crate::audit::stranger;

#[tokio::test]
async fn an_export_is_checked_by_a_stranger_and_no_change_gets_through() {
    let app = TestApp::start().await;
    let (dana, other) = (app.account("dana").await, app.account("other").await);
    has_leads(&dana, 1, 3).await;
    fill(&app, &other.id, 1_500, 10).await;
    has_leads(&dana, 4, 2).await;
    fill(&app, &dana.id, 2, 10).await;
    let verified = sealed_to(&dana, all_events(&app).await).await;
    let public = verified["publicKey"].as_str().expect("a key");
    let answer = dana.get("/api/audit/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/x-ndjson")));
    let export = answer.text;
    let events = stranger::read(&export, public).expect("a valid export");
    let of_dana = "select count(*) from events where tenant_id = $1";
    let of_dana: i64 = sqlx::query_scalar(of_dana).bind(&dana.id).fetch_one(&app.database.pool).await.expect("a count");
    assert_eq!(events.len() as i64, of_dana);
    assert!(events.iter().all(|it| it["aggregateId"].as_str().is_some_and(|id| id.starts_with(&dana.id))));
    let manifest = check(export.as_bytes()).expect("a valid export");
    assert_eq!((manifest.events, manifest.public_key.as_str()), (of_dana, public));
    assert!(!export.contains(&other.id), "another account's events are hashes here");

    let lines: Vec<&str> = export.lines().collect();
    let with = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    for missing in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(missing);
        assert!(
            check(with(&less).as_bytes()).is_err() && stranger::read(&with(&less), public).is_err(),
            "line {missing}"
        );
    }
    for (n, line) in lines.iter().enumerate() {
        let mut more = lines.clone();
        more.insert(n, line);
        assert!(check(with(&more).as_bytes()).is_err(), "line {n} twice");
    }
    let size = export.len();
    for at in (0..size).step_by(size / 400) {
        let mut bytes = export.clone().into_bytes();
        bytes[at] ^= 1;
        assert!(check(bytes.as_slice()).is_err(), "byte {at}");
        assert!(check(&export.as_bytes()[..at]).is_err(), "cut at {at}");
    }
    check(format!("{export}x\n").as_bytes()).expect_err("something after the manifest");

    let file = std::env::temp_dir().join(format!("flowbot-export-{}", Uuid::new_v4()));
    let verify = async || {
        let path = file.to_str().expect("a path");
        api::commands::run(Cli::parse_from(["flowbot", "audit", "verify", "--export", path])).await
    };
    std::fs::write(&file, &export).expect("a file");
    verify().await.expect("a valid export");
    std::fs::write(&file, export.replacen("note.made", "note.mode", 1)).expect("a file");
    let refused = format!("{:#}", verify().await.expect_err("a changed export"));
    assert!(refused.contains("batch"), "{refused}");
    std::fs::remove_file(&file).expect("no file");
}

#[tokio::test]
async fn a_range_of_numbers_is_exported_alone() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    fill(&app, &dana.id, 2_500, 10).await;
    let public = sealed_to(&dana, 2_500).await["publicKey"].as_str().expect("a key").to_owned();
    for (query, first, last, events) in [
        ("from=990&to=1010", 990, 1_010, 21),
        ("from=2499", 2_499, 2_500, 2),
        ("to=3", 1, 3, 3),
        ("from=9000", 0, 0, 0),
    ] {
        let export = dana.get(&format!("/api/audit/export?{query}")).await.text;
        check(export.as_bytes()).unwrap_or_else(|error| panic!("{query}: {error}"));
        let read = stranger::read(&export, &public).expect("a valid export");
        let number = |event: Option<&Value>| event.map_or(0, |event| event["number"].as_i64().expect("a number"));
        assert_eq!((number(read.first()), number(read.last()), read.len()), (first, last, events), "{query}");
    }
    assert_eq!(dana.get("/api/audit/export?from=5&to=4").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_export_whose_backend_is_killed_breaks_off() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for _ in 0..10 {
        fill(&app, &dana.id, 2_000, 500).await;
    }
    sealed_to(&dana, 20_000).await;
    let mut killed = 0;
    for _ in 0..5 {
        let answer = dana.stream("/api/audit/export").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let (mut pieces, mut text, mut broken, mut pieces_seen) = (answer.bytes_stream(), Vec::new(), false, 0);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => text.extend_from_slice(&piece),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
            pieces_seen += 1;
            if pieces_seen == 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and query like 'copy%'";
            drop(sqlx::query(kill).execute(&app.database.pool).await);
        }
        let whole =
            String::from_utf8_lossy(&text).trim_end().rsplit('\n').next().is_some_and(|it| it.contains("\"manifest\""));
        eprintln!(
            "{} bytes, broken {broken}, last {}",
            text.len(),
            String::from_utf8_lossy(&text[text.len().saturating_sub(200)..])
        );
        assert_eq!(broken, !whole, "a transfer that ends well has its manifest");
        assert_eq!(check(text.as_slice()).is_ok(), whole);
        killed += u32::from(broken);
    }
    assert!(killed > 0, "no backend was caught reading");
}
