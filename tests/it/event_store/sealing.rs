//! What the log says of a person is sealed with their key.

use std::sync::Arc;

use application::commands::{Along, CommandError, Commands};
use domain::lead::command::LeadCommand;
use domain::lead::error::LeadError;
use domain::lead::event::LeadEvent;
use domain::shared::ids::TenantId;
use infrastructure::event_store::keys::KeyError;
use infrastructure::event_store::load;
use sqlx::Row;

use crate::event_store::given::{Log, at, cause, contact, sets};

/// Destroys a contact's key, as another process would.
async fn destroy_key(log: &Log, n: u32) {
    let mut transaction = log.pool().begin().await.expect("a transaction");
    sqlx::query("update contact_keys set wrapped = null, erased_at = now() where contact_id = $1")
        .bind(contact(n).0)
        .execute(&mut *transaction)
        .await
        .expect("destroyed");
    sqlx::query("update erasures set count = count + 1").execute(&mut *transaction).await.expect("counted");
    transaction.commit().await.expect("committed");
}

#[tokio::test]
async fn the_log_holds_no_word_of_a_person_in_clear() {
    let log = Log::empty().await;
    let node = log.node();
    let stream = log.stream(1);
    node.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    for n in 0..150 {
        node.run(&stream, &cause(), sets("diet", format!("vegan {n}")), Along::default()).await.expect("set");
    }
    tests::app::eventually("a snapshot", async || (log.count("snapshots").await == 1).then_some(())).await;
    for table in ["events", "snapshots", "contact_keys", "contact_streams", "once"] {
        let rows =
            sqlx::query(&format!("select t::text as row from {table} t")).fetch_all(&log.pool()).await.expect("rows");
        for row in rows {
            let row: String = row.get("row");
            assert!(!row.contains("972500000001") && !row.contains("vegan"), "{table}: {row}");
        }
    }
    let lead = load::load::<domain::lead::Lead>(&log.pool(), &log.keys, &stream).await.expect("a lead");
    let known = lead.aggregate.known().expect("known");
    assert_eq!(known.fields["diet"], "vegan 149");
    assert!(lead.snapshot >= 100, "from the sealed snapshot");
}

#[tokio::test]
async fn without_the_key_what_is_left_is_read() {
    let log = Log::empty().await;
    let (node, stream) = (log.node(), log.stream(1));
    node.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    node.run(&stream, &cause(), sets("diet", "vegan"), Along::default()).await.expect("set");
    assert!(log.events(&stream).await.iter().all(|event| !event.erased));
    destroy_key(&log, 1).await;
    let events = log.events(&stream).await;
    assert!(events.iter().all(|event| event.erased), "the ring saw that a key is gone");
    let read: Vec<LeadEvent> = events.iter().map(|event| event.decode().expect("what is left").event).collect();
    assert!(matches!(&read[0], LeadEvent::Captured { phone: None, contact_id: Some(_), .. }), "{read:?}");
    assert!(matches!(&read[1], LeadEvent::FieldsChanged { fields, .. } if fields.is_empty()), "{read:?}");
    assert!(matches!(log.keys.fresh(log.tenant, contact(1)).await, Err(KeyError::Erased)));
}

#[tokio::test]
async fn a_sealed_part_opens_in_its_place_alone() {
    let log = Log::empty().await;
    let node = log.node();
    for n in [1, 2] {
        node.run(&log.stream(n), &cause(), log.capture(n), Along::default()).await.expect("captured");
    }
    let mut events = log.events(&log.stream(1)).await;
    let mut other = log.events(&log.stream(2)).await;
    let mut connection = log.pool().acquire().await.expect("a connection");
    // As it is stored, put under another stream.
    let stored: String = sqlx::query_scalar("select payload::text from events where aggregate_id = $1")
        .bind(log.stream(1).to_string())
        .fetch_one(&mut *connection)
        .await
        .expect("a payload");
    other[0].payload = serde_json::value::RawValue::from_string(stored).expect("JSON");
    log.keys.open(&mut connection, &mut other).await.expect("keys");
    assert!(other[0].decode::<LeadEvent>().expect_err("refused").contains("belongs elsewhere"));
    assert!(events.remove(0).decode::<LeadEvent>().is_ok());
}

#[tokio::test]
async fn a_node_that_does_not_know_writes_nothing_for_an_erased_contact() {
    let log = Log::empty().await;
    let (here, there) = (log.node(), log.node());
    let stream = log.stream(1);
    here.run(&stream, &cause(), log.capture(1), Along::default()).await.expect("captured");
    // Both have the stream and the key in memory.
    there.run(&stream, &cause(), sets("a", 1), Along::default()).await.expect("set");
    here.run(&stream, &cause(), sets("b", 1), Along::default()).await.expect("set");
    let erase = LeadCommand::Erase { contact: contact(1), at: at() };
    here.run(&stream, &cause(), erase, Along::default()).await.expect("erased");
    destroy_key(&log, 1).await;
    let before = log.count("events").await;
    let told = there.run(&stream, &cause(), log.capture(1), Along::default()).await;
    assert!(matches!(told, Err(CommandError::Rule(LeadError::ContactErased))), "{told:?}");
    // A stream that is new tells nothing; its key does.
    let LeadCommand::Tell { id, phone, facts, at, .. } = log.capture(2) else { panic!("a tell") };
    let tell = LeadCommand::Tell { id, contact: contact(1), phone, facts, at };
    let told = there.run(&log.stream(2), &cause(), tell, Along::default()).await;
    assert!(matches!(told, Err(CommandError::ContactErased)), "{told:?}");
    assert_eq!(log.count("events").await, before);
}

#[tokio::test]
async fn a_key_is_made_once_however_many_ask() {
    let log = Arc::new(Log::empty().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let key = tests::keys(&log.pool()).fresh(TenantId(log.tenant.0), contact(1)).await.expect("a key");
                key.seal(b"x", "here")
            })
        })
        .collect();
    let key = log.keys.fresh(log.tenant, contact(1)).await.expect("a key");
    for task in tasks {
        let sealed = task.await.expect("a task");
        assert_eq!(key.open(&sealed, "here").as_deref(), Some(b"x".as_slice()));
        assert_eq!(key.open(&sealed, "there"), None);
    }
}
