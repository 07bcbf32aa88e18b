//! A snapshot is what the events up to it give, and can neither undo nor fail what is stored.

use std::sync::Arc;

use std::collections::HashMap;

use application::commands::{Along, Commands};
use application::log::Position;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, CqrsFramework, EventStore};
use domain::lead::Lead;
use domain::lead::event::LeadEvent;
use infrastructure::event_store::load::{self, Loaded};
use infrastructure::event_store::log_reader::read_log;
use infrastructure::event_store::store::PgEventStore;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use tests::app::eventually;
use tests::cable::Cable;

use crate::event_store::given::{Log, append, at, cause, set, sets};

fn store(log: &Log, snapshot_every: i64) -> PgEventStore<Lead> {
    PgEventStore::new(log.pool(), Arc::clone(&log.keys), log.appender.clone(), snapshot_every)
}

async fn loaded(log: &Log, n: u32) -> Loaded<Lead> {
    load::load(&log.pool(), &log.keys, &log.stream(n)).await.expect("a lead")
}

#[tokio::test]
async fn twelve_commands_with_a_snapshot_every_four_are_applied_once_each() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    let framework = CqrsFramework::new(store(&log, 4), vec![], ());
    framework.execute(&stream, log.capture(1)).await.expect("captured");
    for n in 1..12 {
        // A list grows by one each time: an event applied twice would show.
        let tag = LeadEvent::TagsChanged { added: vec![format!("t{n}")], removed: vec![], at: at() };
        let context = store(&log, 4).load_aggregate(&stream).await.expect("a lead");
        store(&log, 4).commit(vec![tag], context, HashMap::new()).await.expect("stored");
    }
    let tags = |lead: &Lead| lead.known().expect("a lead").tags.len();
    let snapshot = loaded(&log, 1).await;
    assert_eq!((snapshot.sequence, snapshot.snapshot), (12, 12));
    assert_eq!(tags(&snapshot.aggregate), 11);
    let mut context = store(&log, 0).load_aggregate(&stream).await.expect("a lead");
    assert_eq!(*context.aggregate(), log.folded(&log.stream(1)).await);
}

#[tokio::test]
async fn twelve_commands_through_the_framework_give_the_state_of_twelve() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    let framework = CqrsFramework::new(store(&log, 4), vec![], ());
    framework.execute(&stream, log.capture(1)).await.expect("captured");
    for n in 1..12 {
        framework.execute(&stream, sets(&format!("f{n}"), n)).await.expect("stored");
    }
    let snapshot = loaded(&log, 1).await;
    assert_eq!((snapshot.sequence, snapshot.snapshot), (12, 12));
    assert_eq!(snapshot.aggregate.known().expect("a lead").fields.len(), 11);
    assert_eq!(snapshot.aggregate, log.folded(&log.stream(1)).await);
}

#[tokio::test]
async fn a_commit_across_a_boundary_loads_whole() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    let context = store(&log, 3).load_aggregate(&stream).await.expect("nothing yet");
    let events = vec![log.captured(1), set("a", 1), set("b", 2), set("c", 3)];
    store(&log, 3).commit(events, context, HashMap::new()).await.expect("stored");
    let snapshot = loaded(&log, 1).await;
    assert_eq!((snapshot.sequence, snapshot.snapshot), (4, 4));
    assert_eq!(json!(snapshot.aggregate.known().expect("a lead").fields), json!({ "a": 1, "b": 2, "c": 3 }));
}

#[tokio::test]
async fn a_snapshot_that_fails_fails_no_commit() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    for statement in [
        "create function broken() returns trigger language plpgsql as 'begin raise exception ''no snapshots today''; end'",
        "create trigger broken before insert or update on snapshots for each statement execute function broken()",
    ] {
        sqlx::query(statement).execute(&log.database.pool).await.expect("a trigger");
    }
    let context = store(&log, 1).load_aggregate(&stream).await.expect("nothing yet");
    let told = store(&log, 1).commit(vec![log.captured(1)], context, HashMap::new()).await.expect("stored");
    assert_eq!(told.len(), 1);
    assert_eq!((log.count("events").await, log.count("snapshots").await), (1, 0));
}

#[tokio::test]
async fn a_commit_that_fails_leaves_no_snapshot_and_an_older_one_replaces_no_newer() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    let late = store(&log, 1).load_aggregate(&stream).await.expect("nothing yet");
    log.appender.append(append(&log.stream(1), 0, &[log.captured(1)])).await.expect("somebody was faster");
    let refused = store(&log, 1).commit(vec![log.captured(1)], late, HashMap::new()).await;
    assert!(matches!(refused, Err(AggregateError::AggregateConflict)), "{refused:?}");
    assert_eq!(log.count("snapshots").await, 0);

    let older = loaded(&log, 1).await;
    log.appender.append(append(&log.stream(1), 1, &[set("a", 1)])).await.expect("stored");
    let newer = loaded(&log, 1).await;
    for it in [&newer, &older] {
        load::save_snapshot(&log.pool(), &log.keys, &log.stream(1), it).await.expect("kept or left");
    }
    let kept = loaded(&log, 1).await;
    assert_eq!((kept.sequence, kept.snapshot, kept.aggregate), (2, 2, newer.aggregate));
}

#[tokio::test]
async fn a_snapshot_nobody_can_read_costs_nothing_but_time() {
    let log = Log::empty().await;
    log.appender.append(append(&log.stream(1), 0, &[log.captured(1), set("a", 1)])).await.expect("stored");
    sqlx::query("insert into snapshots values ('lead', $1, 2, 1, '{\"of\": \"another build\"}')")
        .bind(log.stream(1).to_string())
        .execute(&log.database.pool)
        .await
        .expect("a snapshot");
    let lead = loaded(&log, 1).await;
    assert_eq!((lead.sequence, lead.snapshot), (2, 0));
    assert_eq!(lead.aggregate, log.folded(&log.stream(1)).await);
}

#[tokio::test]
async fn a_snapshot_and_the_events_after_it_give_what_all_events_give_wherever_it_was_cut() {
    let facts = prop_oneof![
        ("[a-d]", 0..9).prop_map(|(name, value)| set(&name, value)),
        "[a-d]".prop_map(|name| set(&name, serde_json::Value::Null)),
        ("[a-c]", "[a-c]").prop_map(|(to, tag)| LeadEvent::TagsChanged {
            added: vec![tag],
            removed: vec![to],
            at: at()
        }),
        "[a-e]".prop_map(|to| LeadEvent::StatusChanged { from: "new".to_owned(), to, at: at() }),
    ];
    let histories = proptest::collection::vec(facts, 20..30);
    let mut runner = TestRunner::deterministic();
    let log = Log::empty().await;
    for n in 0..3 {
        let stream = log.stream(n);
        let mut events = vec![log.captured(n)];
        events.extend(histories.new_tree(&mut runner).expect("a history").current());
        log.appender.append(append(&stream, 0, &events)).await.expect("stored");
        let whole = log.folded(&stream).await;
        let mut so_far = Loaded::<Lead>::default();
        for event in events {
            so_far.aggregate.apply(event);
            so_far.sequence += 1;
            load::save_snapshot(&log.pool(), &log.keys, &stream, &so_far).await.expect("kept");
            let lead = loaded(&log, n).await;
            assert_eq!((lead.snapshot, &lead.aggregate), (so_far.sequence, &whole));
        }
    }
}

#[tokio::test]
async fn commands_keep_snapshots_beside_their_answers() {
    let log = Log::empty().await;
    let (node, stream) = (log.node(), log.stream(1));
    node.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    for n in 0..120 {
        node.run(&stream, &cause(), sets("n", n), Along::default()).await.expect("stored");
    }
    let snapshot = eventually("a snapshot", async || Some(loaded(&log, 1).await).filter(|it| it.snapshot >= 100)).await;
    assert_eq!(snapshot.aggregate, log.folded(&stream).await);
    assert_eq!(snapshot.sequence, 121);
}

#[tokio::test]
async fn a_connection_that_dies_while_the_log_is_read_is_an_error() {
    let log = Log::empty().await;
    let stream = log.stream(1);
    let big: Vec<LeadEvent> = (0..2_000).map(|n| set("n", format!("{n} {}", "x".repeat(500)))).collect();
    log.appender.append(append(&stream, 0, &big)).await.expect("stored");
    let cable = Cable::to(&log.database);
    let through = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_with(cable.options.clone());
    let through = through.await.expect("a connection");
    let store = PgEventStore::<Lead>::new(through.clone(), Arc::clone(&log.keys), log.appender.clone(), 0);
    assert_eq!(store.load_events(&stream.to_string()).await.expect("a whole cable").len(), 2_000);
    for half in 0..3 {
        cable.cut_after(400_000);
        let short = match half {
            0 => store.load_events(&stream.to_string()).await.map(|read| read.len()).map_err(|error| error.to_string()),
            1 => store.load_aggregate(&stream.to_string()).await.map(|_| 0).map_err(|error| error.to_string()),
            _ => {
                let mut connection = through.acquire().await.expect("a connection");
                let read = read_log(&mut connection, Position::default(), 10_000, &["lead"]).await;
                read.map(|read| read.len()).map_err(|error| error.to_string())
            }
        };
        assert!(short.is_err(), "{short:?} of 2000 events and no error");
        cable.mend();
        let whole = store.load_events(&stream.to_string()).await.expect("a mended cable");
        assert_eq!(whole.len(), 2_000);
    }
}
