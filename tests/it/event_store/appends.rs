//! What one statement writes for many commands: all of a command or nothing, and each on its own.

use application::commands::{Along, CommandError, Commands, Conclude};
use domain::shared::provider_error::{ErrorClass, ProviderError};
use futures::future::join_all;
use infrastructure::event_store::append::{Append, AppendError, AppendResult};
use sqlx::Connection;
use tests::app::eventually;
use uuid::Uuid;

use crate::event_store::given::{Log, append, cause, key, moves, set};

/// Appends that certainly share a statement: they queue while the writer is held up.
pub async fn together(log: &Log, appends: Vec<Append>) -> Vec<AppendResult> {
    let mut holder = log.database.pool.acquire().await.expect("a connection");
    let mut lock = holder.begin().await.expect("a transaction");
    sqlx::query("lock table events in access exclusive mode").execute(&mut *lock).await.expect("a lock");
    let first = append(&log.stream(9_000_000), 0, &[log.captured(9_000_000)]);
    let appender = log.appender.clone();
    let primer = tokio::spawn(async move { appender.append(first).await });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("a writer that waits", async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&log.database.pool).await.expect("a count");
        (count >= 1).then_some(())
    })
    .await;
    let mut all = Box::pin(join_all(appends.into_iter().map(|it| log.appender.append(it))));
    assert!(futures::poll!(&mut all).is_pending(), "they are queued");
    lock.commit().await.expect("the lock goes");
    primer.await.expect("a primer").expect("it goes in");
    all.await
}

fn outcomes(results: &[AppendResult]) -> (usize, usize, usize) {
    let count = |wanted: fn(&AppendResult) -> bool| results.iter().filter(|it| wanted(it)).count();
    (
        count(|it| it.is_ok()),
        count(|it| matches!(it, Err(AppendError::KeyTaken))),
        count(|it| matches!(it, Err(AppendError::Conflict))),
    )
}

#[tokio::test]
async fn a_key_takes_effect_once_however_many_bring_it() {
    let log = Log::empty().await;
    let mut appends: Vec<Append> = (0..20)
        .map(|n| Append { once: vec![key("in:wamid.1")], ..append(&log.stream(n), 0, &[log.captured(n), set("a", 1)]) })
        .collect();
    appends.extend((100..110).map(|n| append(&log.stream(n), 0, &[log.captured(n)])));
    appends.extend(
        (200..210)
            .map(|n| Append { once: vec![key(&format!("in:{n}"))], ..append(&log.stream(n), 0, &[log.captured(n)]) }),
    );
    let results = together(&log, appends).await;
    assert_eq!(outcomes(&results[..20]), (1, 19, 0), "{results:?}");
    assert_eq!(outcomes(&results[20..]), (20, 0, 0), "the neighbours: {results:?}");
    assert_eq!(log.count("events").await, 1 + 2 + 20);
    assert_eq!(log.count("once").await, 1 + 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_takes_effect_once_over_several_nodes() {
    let log = Log::empty().await;
    let nodes = [log.node(), log.node(), log.node()];
    for n in 0..20 {
        nodes[0].run(&log.stream(n), &cause(), log.capture(n), Along::default()).await.expect("captured");
    }
    let runs = (0..20_u32).map(|n| {
        let (node, stream) = (&nodes[n as usize % 3], log.stream(n));
        let along = Along { once: vec![key("request-1")], ..Along::default() };
        async move { node.run(&stream, &cause(), moves("won"), along).await }
    });
    let results = join_all(runs).await;
    let done = results.iter().filter(|it| it.is_ok()).count();
    let before = results.iter().filter(|it| matches!(it, Err(CommandError::AlreadyDone))).count();
    assert_eq!((done, before), (1, 19), "{results:?}");
    assert_eq!(log.count("events").await, 21);
}

#[tokio::test]
async fn a_conflict_in_a_shared_statement_hurts_no_neighbour() {
    let log = Log::empty().await;
    log.appender.append(append(&log.stream(1), 0, &[log.captured(1)])).await.expect("stored");
    let mut appends: Vec<Append> =
        (2..40).map(|n| append(&log.stream(n), 0, &[log.captured(n), set("a", 1)])).collect();
    appends.insert(17, append(&log.stream(1), 0, &[set("late", true)]));
    let results = together(&log, appends).await;
    assert!(matches!(results[17], Err(AppendError::Conflict)), "{:?}", results[17]);
    assert_eq!(outcomes(&results), (38, 0, 1), "{results:?}");
    assert_eq!(log.count("events").await, 1 + 1 + 38 * 2);
}

#[tokio::test]
async fn a_lost_lease_writes_nothing() {
    let log = Log::empty().await;
    let id = log.in_flight(Uuid::new_v4()).await;
    let lost = Some(Conclude::Leased { id, token: Uuid::new_v4() });
    let error = ProviderError { code: 0, class: ErrorClass::Request, title: "no".into(), details: None };
    let buried = Some(Conclude::Buried { id, token: Uuid::new_v4(), error });
    for conclude in [lost, buried] {
        let with_key = Append {
            once: vec![key("k")],
            mark: vec![key("m")],
            conclude,
            ..append(&log.stream(1), 0, &[log.captured(1)])
        };
        let result = log.appender.append(with_key).await;
        assert!(matches!(result, Err(AppendError::LeaseLost)), "{result:?}");
    }
    assert_eq!((log.count("events").await, log.count("once").await), (0, 0));
    assert_eq!(log.count("outbox where state = 1").await, 1, "whoever holds it still does");
}

#[tokio::test]
async fn a_known_key_leaves_the_lease_and_the_other_key_alone() {
    let log = Log::empty().await;
    let token = Uuid::new_v4();
    let id = log.in_flight(token).await;
    log.appender
        .append(Append { once: vec![key("known")], ..append(&log.stream(1), 0, &[log.captured(1)]) })
        .await
        .expect("stored");
    let conclude = Some(Conclude::Leased { id, token });
    let refused =
        Append { once: vec![key("new"), key("known")], conclude, ..append(&log.stream(2), 0, &[log.captured(2)]) };
    let results = together(&log, vec![refused]).await;
    assert!(matches!(results[0], Err(AppendError::KeyTaken)), "{results:?}");
    assert_eq!(log.count("outbox").await, 1);
    assert_eq!(log.count("once").await, 1, "a key that led to nothing stays free");
}

#[tokio::test]
async fn everything_of_a_command_goes_in_with_its_events() {
    let log = Log::empty().await;
    let token = Uuid::new_v4();
    let id = log.in_flight(token).await;
    let conclude = Some(Conclude::Leased { id, token });
    let whole = Append {
        once: vec![key("k")],
        mark: vec![key("m")],
        conclude,
        ..append(&log.stream(1), 0, &[log.captured(1)])
    };
    log.appender.append(whole).await.expect("the insert into events is the statement's first write");
    assert_eq!((log.count("events").await, log.count("once").await, log.count("outbox").await), (1, 2, 0));
}

#[tokio::test]
async fn events_are_never_changed() {
    let log = Log::empty().await;
    log.appender.append(append(&log.stream(1), 0, &[log.captured(1)])).await.expect("stored");
    for statement in ["update events set payload = '{}'", "delete from events", "truncate events"] {
        let error = sqlx::query(statement).execute(&log.database.pool).await.expect_err(statement);
        let code = error.as_database_error().and_then(|it| it.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("55000"), "{statement}: {error}");
    }
    assert_eq!(log.count("events").await, 1);
}

#[tokio::test]
async fn an_append_is_the_first_write_of_its_transaction() {
    let log = Log::empty().await;
    let insert =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('lead', 'a/b', $1, 'lead.captured', '1', '{}', '{}')";
    let mut late = log.database.pool.begin().await.expect("a transaction");
    sqlx::query("insert into audit_entries (actor, action, subject, details) values ('a', 'b', 'c', '{}')")
        .execute(&mut *late)
        .await
        .expect("a write");
    let error = sqlx::query(insert).bind(1_i64).execute(&mut *late).await.expect_err("too late");
    let code = error.as_database_error().and_then(|it| it.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("25001"), "{error}");
    drop(late);
    sqlx::query(insert).bind(1_i64).execute(&log.database.pool).await.expect("first");
}
