//! Long histories as lines: read on demand, and never short without saying so.

use reqwest::Response;
use tests::app::{SignedIn, TestApp};

const EVENTS: i64 = 30_000;

/// An account with a long log.
async fn long(app: &TestApp) -> SignedIn {
    let dana = app.account("dana").await;
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         select 'conversation', $1 || '/' || stream, n, 'conversation.closed', '1',
                json_build_object('type', 'closed', 'text', repeat('Your order is on its way. ', 20)),
                json_build_object('actor', 'system', 'correlationId', stream)
           from (select gen_random_uuid() as stream from generate_series(1, $2 / 20)) s, generate_series(1, 20) n",
    )
    .bind(&dana.id)
    .bind(EVENTS)
    .execute(&app.database.pool)
    .await
    .expect("events");
    dana
}

/// The lines that came, and whether the transfer was whole.
async fn read(mut response: Response, mut piece_came: impl AsyncFnMut(usize)) -> (i64, bool) {
    let (mut lines, mut pieces) = (0, 0);
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => lines += piece.iter().filter(|byte| **byte == b'\n').count() as i64,
            Ok(None) => return (lines, true),
            Err(_) => return (lines, false),
        }
        pieces += 1;
        piece_came(pieces).await;
    }
}

#[tokio::test]
async fn a_transfer_that_fails_in_the_middle_is_never_taken_for_the_whole() {
    let app = TestApp::start().await;
    let dana = long(&app).await;
    tests::app::eventually("the whole log", async || {
        let (lines, whole) = read(dana.lines("/api/audit/events").await, async |_| ()).await;
        (whole && lines == EVENTS).then_some(())
    })
    .await;
    let rename = async |from: &str, to: &str| {
        let rename = format!("alter table {from} rename to {to}");
        sqlx::query(&rename).execute(&app.database.pool).await.expect("another name");
    };
    let response = dana.lines("/api/audit/events").await;
    assert_eq!(response.status().as_u16(), 200);
    // Nobody has read a line yet, and the rest is read on demand alone: it is not there any more.
    rename("events", "elsewhere").await;
    let (lines, whole) = read(response, async |_| ()).await;
    assert!(!whole && lines > 0 && lines < EVENTS, "{lines} lines, whole: {whole}");
    // What fails before the first line says so.
    assert_eq!(dana.lines("/api/audit/events").await.status().as_u16(), 500);
    rename("elsewhere", "events").await;
    assert_eq!(read(dana.lines("/api/audit/events").await, async |_| ()).await, (EVENTS, true));
}

#[tokio::test]
async fn backends_that_are_terminated_break_it_or_are_replaced() {
    let app = TestApp::start().await;
    let dana = long(&app).await;
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                      where datname = current_database() and pid <> pg_backend_pid()";
    let mut killed = 0;
    for round in 1..=4 {
        let response = dana.lines("/api/audit/events").await;
        if !response.status().is_success() {
            continue;
        }
        let (lines, whole) = read(response, async |pieces| {
            if pieces % (20 * round) == 0 {
                let many: i64 = sqlx::query_scalar(terminate).fetch_one(&app.database.pool).await.unwrap_or_default();
                killed += many;
            }
        })
        .await;
        assert!(!whole || lines == EVENTS, "round {round}: {lines} lines were taken for the whole");
    }
    assert!(killed > 0, "nothing was terminated");
    tests::app::eventually("the whole log again", async || {
        let response = dana.lines("/api/audit/events").await;
        (response.status().is_success() && read(response, async |_| ()).await == (EVENTS, true)).then_some(())
    })
    .await;
}
