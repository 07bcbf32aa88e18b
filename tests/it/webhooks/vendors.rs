//! Payloads as vendors send them, signed and delivered: a 200 each, and nothing left undone.

use std::path::{Path, PathBuf};

use tests::app::{LINE, TestApp, eventually};
use tests::flows::echo;
use tests::webhook::signature;

/// The JSON files of a folder, in order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    files.sort();
    files
}

/// Delivers every file, then a message of a customer that must still be answered.
async fn deliver_all(files: &[PathBuf]) {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await.has_flow("Echo", &echo()).await;
    let secret = app.config.meta.app_secret.as_ref().expect("a secret").expose().clone();
    for file in files {
        let body = std::fs::read(file).expect("a readable file");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let answer = app.deliver_bytes(&body, Some(&signature(&secret, &body))).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "{}"), "{name}");
    }
    let lines: Vec<String> =
        files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).filter(|body| body.contains(LINE)).collect();
    let state = "select count(*) filter (where state = 0), count(*) from webhook_journal";
    eventually("an empty journal", async || {
        let (left, all): (i64, i64) = sqlx::query_as(state).fetch_one(&app.database.pool).await.ok()?;
        (left == 0 && all == files.len() as i64).then_some(())
    })
    .await;
    let panicked: i64 = sqlx::query_scalar("select count(*) from parked_elements where reason like '%panicked%'")
        .fetch_one(&app.database.pool)
        .await
        .expect("rows");
    assert_eq!(panicked, 0);
    app.customer_writes("+972501234567", "still there?").await;
    app.wait_for_answers("+972501234567", 1).await;
    let halted: Vec<String> = sqlx::query_scalar("select name from projections where status <> 'running'")
        .fetch_all(&app.database.pool)
        .await
        .expect("rows");
    assert!(halted.is_empty(), "{halted:?}");
    eprintln!("{} payloads, {} of them for our line", files.len(), lines.len());
}

#[tokio::test]
async fn our_own_payloads_go_through() {
    let own = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vendors/whatsapp"));
    assert!(own.len() >= 80, "{}", own.len());
    deliver_all(&own).await;
}

#[tokio::test]
async fn collected_payloads_go_through() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/whatsapp");
    let collected = files(&folder);
    if collected.is_empty() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    deliver_all(&collected).await;
}
