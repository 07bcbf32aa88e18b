//! Several writers on one stream: one version, one winner, nothing lost, nothing decided on what is outdated.

use std::sync::Arc;

use std::collections::HashMap;

use application::commands::{Along, CommandError, Commands, Conclude};
use cqrs_es::{AggregateError, EventStore};
use domain::lead::Lead;
use domain::lead::command::{LeadCommand, LeadFacts};
use domain::lead::error::LeadError;
use futures::future::join_all;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::store::PgEventStore;
use uuid::Uuid;

use crate::event_store::given::{Log, at, cause, moves, set, sets};

#[tokio::test]
async fn of_sixteen_commits_on_one_version_one_goes_in() {
    let log = Log::empty().await;
    let stream = log.stream(1).to_string();
    // Half share an appender, half have one each.
    let appenders = (0..16).map(|n| if n % 2 == 0 { log.appender.clone() } else { Appender::start(log.pool()) });
    let stores: Vec<_> =
        appenders.map(|appender| PgEventStore::<Lead>::new(log.pool(), Arc::clone(&log.keys), appender, 2)).collect();
    let mut contexts = Vec::new();
    for store in &stores {
        contexts.push(store.load_aggregate(&stream).await.expect("nothing yet"));
    }
    let commits = stores
        .iter()
        .zip(contexts)
        .map(|(store, context)| store.commit(vec![log.captured(1), set("a", 1)], context, HashMap::new()));
    let results = join_all(commits).await;
    let conflicts = results.iter().filter(|it| matches!(it, Err(AggregateError::AggregateConflict))).count();
    let stored = results.iter().filter(|it| it.is_ok()).count();
    assert_eq!((stored, conflicts), (1, 15), "{results:?}");
    assert_eq!(log.events(&log.stream(1)).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_of_two_nodes_on_one_stream_all_count() {
    let log = Log::empty().await;
    let (stream, nodes) = (log.stream(1), [log.node(), log.node()]);
    nodes[0].run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    let bad =
        LeadCommand::Change { facts: LeadFacts { email: Some("no address".into()), ..Default::default() }, at: at() };
    let commands = (0..32_usize).map(|n| {
        let command = if n % 8 == 7 { bad.clone() } else { sets(&format!("f{n}"), n) };
        let (node, stream) = (&nodes[n % 2], stream.clone());
        async move { node.run(&stream, &cause(), command, Along::default()).await }
    });
    let results = join_all(commands).await;
    let refused = results.iter().filter(|it| matches!(it, Err(CommandError::Rule(LeadError::Email(_))))).count();
    let stored = results.iter().filter(|it| it.is_ok()).count();
    assert_eq!((stored, refused), (28, 4), "{results:?}");

    let sequences: Vec<i64> = log.events(&stream).await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=29).collect::<Vec<_>>());
    let mut reached: Vec<i64> = results.into_iter().flatten().map(|reached| reached.sequence).collect();
    reached.sort_unstable();
    assert_eq!(reached, (2..=29).collect::<Vec<_>>(), "each reached a place of its own");
    let folded = log.folded(&stream).await;
    assert_eq!(folded.known().expect("a lead").fields.len(), 28, "no update was lost");
    for node in &nodes {
        assert_eq!(node.load(&stream).await.expect("a lead"), folded);
    }
}

#[tokio::test]
async fn a_refusal_never_rests_on_what_another_node_has_changed() {
    let log = Log::empty().await;
    let (stream, a, b) = (log.stream(1), log.node(), log.node());
    let early = b.run(&stream, &cause(), moves("won"), Along::default()).await;
    assert!(matches!(early, Err(CommandError::Rule(LeadError::NotFound))), "{early:?}");
    a.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    b.run(&stream, &cause(), moves("won"), Along::default()).await.expect("b looks again before it refuses");
}

#[tokio::test]
async fn having_nothing_to_do_never_rests_on_what_another_node_has_changed() {
    let log = Log::empty().await;
    let (stream, a, b) = (log.stream(1), log.node(), log.node());
    b.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    b.run(&stream, &cause(), moves("won"), Along::default()).await.expect("b remembers: won");
    a.run(&stream, &cause(), moves("lost"), Along::default()).await.expect("a knows better");
    let again = b.run(&stream, &cause(), moves("won"), Along::default()).await.expect("b looks again");
    assert_eq!(again.sequence, 4);
    assert!(again.position.is_some(), "an event was written");
}

#[tokio::test]
async fn a_lease_is_not_spent_on_a_decision_that_was_outdated() {
    let log = Log::empty().await;
    let (stream, a, b) = (log.stream(1), log.node(), log.node());
    b.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    b.run(&stream, &cause(), moves("won"), Along::default()).await.expect("b remembers: won");
    a.run(&stream, &cause(), moves("lost"), Along::default()).await.expect("a knows better");
    let token = Uuid::new_v4();
    let id = log.in_flight(token).await;
    let along = Along { conclude: Some(Conclude::Leased { id, token }), ..Along::default() };
    let told = b.run(&stream, &cause(), moves("won"), along).await.expect("the event and the lease go together");
    assert_eq!((told.sequence, log.count("outbox").await), (4, 0));
}
