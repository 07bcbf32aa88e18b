//! A log restored into another cluster: refused, adopted, read in order, written on.

mod restore;

use api::commands;
use api::config::{Cli, Options};
use api::middleware::rate_limit::RateLimits;
use application::log::Position;
use clap::Parser;
use infrastructure::event_store::guard::{self, Adoption, Refused, Waiting};
use infrastructure::event_store::log_reader::{RawEvent, read_log};
use sqlx::PgPool;
use tests::SECRET_KEY;
use tests::app::{TestApp, eventually};
use tests::cluster::TestDatabase;

use crate::projections::history::{dump, forget, lived, projections, run};

/// The command line on this database; what it ends with.
async fn flowbot(database: &TestDatabase, words: &[&str]) -> Result<(), String> {
    let url = database.url().await;
    let options =
        ["flowbot", "--database-url", &url, "--listen", "127.0.0.1:0", "--rust-log", "off", "--secret-key", SECRET_KEY];
    let cli = Cli::parse_from(options.iter().chain(words));
    commands::run(cli).await.map_err(|error| format!("{error:#}"))
}

async fn whole_log(pool: &PgPool) -> Vec<RawEvent> {
    let mut connection = pool.acquire().await.expect("a connection");
    read_log(&mut connection, Position::default(), 100_000, &[]).await.expect("the log")
}

fn names(events: &[RawEvent]) -> Vec<(String, i64)> {
    events.iter().map(|event| (event.stream.clone(), event.sequence)).collect()
}

/// Each stream's events come in its own order, without a gap.
fn streams_are_in_order(events: &[RawEvent]) {
    let mut last = std::collections::HashMap::new();
    for event in events {
        let before = last.insert((&event.aggregate_type, &event.stream), event.sequence).unwrap_or(0);
        assert_eq!(event.sequence, before + 1, "{} {}", event.aggregate_type, event.stream);
    }
    assert!(events.is_sorted_by_key(|event| event.position));
}

async fn count(pool: &PgPool, what: &str) -> i64 {
    sqlx::query_scalar(&format!("select count(*) from {what}")).fetch_one(pool).await.expect("a count")
}

#[tokio::test]
async fn a_log_from_another_cluster_is_refused_until_it_is_adopted_and_then_goes_on() {
    // What is written is of transactions the other cluster has not come to: it would be out of sight there.
    let copy = TestDatabase::elsewhere().await;
    restore::ahead_of(&TestDatabase::create().await.pool, &copy.pool).await;
    let origin = lived().await;
    guard::check(&origin.pool).await.expect("it starts where it was written");
    let written = names(&whole_log(&origin.pool).await);
    let models = dump(&origin.pool).await;
    restore::copy(&origin.pool, &copy.pool).await;

    for words in [&["serve"][..], &["projections"], &["history", "a/b"], &["user", "create", "--username", "noa"]] {
        let refusal = flowbot(&copy, words).await.expect_err("it must not start");
        assert!(refusal.contains("flowbot store adopt") && refusal.contains("restored"), "{words:?}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    flowbot(&copy, &["migrate"]).await.expect("migrations are no use of the log");
    flowbot(&copy, &["store", "adopt"]).await.expect("nothing waits, so there is nothing to decide");
    assert_eq!(guard::adopt(&copy.pool, None).await.expect("an answer"), Adoption::NothingToAdopt);
    flowbot(&copy, &["store", "adopt"]).await.expect("nothing to adopt is no error");
    flowbot(&copy, &["projections"]).await.expect("it starts");

    let adopted = whole_log(&copy.pool).await;
    assert_eq!(names(&adopted), written, "every event, in the order it had");
    assert!(adopted.iter().all(|event| event.position.epoch == 1), "and none was rewritten");
    for projection in projections(&copy.pool, 7) {
        assert_eq!(
            projection.turn(&copy.pool).await.expect("a turn"),
            turn_at_head(projection.name(), &copy.pool).await
        );
    }

    let app = TestApp::on(copy, Options::default(), RateLimits::lifted()).await;
    let dana = app.sign_in("dana", "correct horse").await;
    app.customer_writes("972500000003", "once more").await;
    let path = "/api/leads/%2B972500000001";
    dana.put(path, &serde_json::json!({ "status": "lost" })).await.ok();
    let read = "events where event_type = 'conversation.message_read' and log_epoch = 2";
    eventually("the answer to be read", async || (count(&app.database.pool, read).await == 1).then_some(())).await;
    let copy = app.stop().await;

    // A transaction anywhere in the cluster holds the horizon for a moment.
    let all = eventually("nothing out of sight", async || {
        let all = whole_log(&copy.pool).await;
        (all.len() as i64 == count(&copy.pool, "events").await).then_some(all)
    })
    .await;
    assert_eq!(names(&all[..written.len()]), written, "what is new comes after what was there");
    assert!(all.len() > written.len() && all[written.len()..].iter().all(|event| event.position.epoch == 2));
    streams_are_in_order(&all);

    for projection in projections(&copy.pool, 1_000) {
        run(projection.as_ref(), &copy.pool).await;
    }
    let continued = dump(&copy.pool).await;
    assert_ne!(continued, models);
    forget(&copy.pool).await;
    for projection in projections(&copy.pool, 7) {
        run(projection.as_ref(), &copy.pool).await;
    }
    assert_eq!(dump(&copy.pool).await, continued, "from zero as from the old checkpoint");
}

/// What a turn of a projection at the head of the log comes to.
async fn turn_at_head(name: &str, pool: &PgPool) -> infrastructure::event_store::projector::Turn {
    let text: String = sqlx::query_scalar(
        "select log_epoch || '-' || transaction_id || '-' || position from projections where name = $1",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .expect("a checkpoint");
    let position = text.parse().expect("a position");
    infrastructure::event_store::projector::Turn::Advanced { events: 0, position }
}

#[tokio::test]
async fn what_waits_in_a_copy_is_done_or_given_up_by_decision_alone() {
    let origin = TestDatabase::create().await;
    guard::check(&origin.pool).await.expect("the first start remembers where");
    let waiting = Waiting { messages: 4, jobs: 1, webhooks: 1 };
    for statement in [
        "insert into outbox (tenant_id, lane, bucket, message_id, recipient, content, state, leaving, expires_at)
         select gen_random_uuid(), gen_random_uuid(), '1', gen_random_uuid(), '{}', '{}', state, leaving, now() + interval '1 hour'
           from (values (0, false), (1, false), (1, true), (3, false), (4, false)) as s(state, leaving)",
        "insert into jobs (tenant_id, key, work, run_at, dead) values (gen_random_uuid(), 'a', '{}', now(), false), (gen_random_uuid(), 'b', '{}', now(), true)",
        "insert into webhook_journal (source, body, lines, owner, state) values ('whatsapp', '', '[]', gen_random_uuid(), 0), ('whatsapp', '', '[]', gen_random_uuid(), 1)",
    ] {
        sqlx::query(statement).execute(&origin.pool).await.expect("something that waits");
    }
    for (word, left) in [("--keep-outbox", waiting), ("--drop-outbox", Waiting::default())] {
        let copy = TestDatabase::elsewhere().await;
        restore::copy(&origin.pool, &copy.pool).await;
        let undecided = flowbot(&copy, &["store", "adopt"]).await.expect_err("it has to be decided");
        assert!(undecided.contains("4 message(s)") && undecided.contains("--drop-outbox"), "{undecided}");
        assert!(matches!(guard::check(&copy.pool).await, Err(Refused::Elsewhere { .. })), "nothing was adopted");
        flowbot(&copy, &["store", "adopt", word]).await.expect("decided");
        guard::check(&copy.pool).await.expect("adopted");
        let found = Waiting {
            messages: count(&copy.pool, "outbox where state < 4").await,
            jobs: count(&copy.pool, "jobs where not dead").await,
            webhooks: count(&copy.pool, "webhook_journal where state = 0").await,
        };
        assert_eq!(found, left, "{word}");
        assert_eq!(count(&copy.pool, "outbox").await, 5, "a message that is given up is still there");
    }
}

#[tokio::test]
async fn a_log_whose_order_does_not_hold_is_refused_in_its_own_cluster_too() {
    let database = lived().await;
    for broken in [
        // Restored before this release kept where it was.
        "update store_meta set system_identifier = null, database_oid = null;
         alter table events disable trigger all;
         update events set transaction_id = (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 100000 + global_position)::text::xid8;
         alter table events enable trigger all",
        // Data alone, restored into a fresh schema of the same name.
        "alter table events alter column log_epoch set default 1",
        "update store_meta set log_epoch = 1",
    ] {
        sqlx::raw_sql(broken).execute(&database.pool).await.expect("a log that is broken");
        let refused = guard::check(&database.pool).await;
        assert!(matches!(refused, Err(Refused::OutOfOrder { .. })), "{broken}: {refused:?}");
        let before = count(&database.pool, "events").await;
        assert!(matches!(guard::adopt(&database.pool, Some(true)).await, Ok(Adoption::Adopted { .. })), "{broken}");
        guard::check(&database.pool).await.expect("it starts");
        let all = whole_log(&database.pool).await;
        assert_eq!(all.len() as i64, before, "nothing is out of sight");
        streams_are_in_order(&all);
    }
}
