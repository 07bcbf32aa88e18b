//! A plain postgres-es repository reads what we wrote and appends what we read.

use std::sync::Arc;

use cqrs_es::EventStore;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use domain::lead::Lead;
use infrastructure::event_store::store::PgEventStore;
use postgres_es::PostgresEventRepository;
use serde_json::json;

use crate::event_store::given::{Log, append, set};

#[tokio::test]
async fn a_plain_repository_reads_our_stream_and_appends_to_it() {
    let log = Log::empty().await;
    let stream = log.stream(1);
    log.appender.append(append(&stream, 0, &[log.captured(1), set("a", 1)])).await.expect("ours");

    let stock = PostgresEventRepository::new(log.pool()).with_tables("events", "snapshots");
    let read = stock.get_events::<Lead>(&stream.to_string()).await.expect("the stock repository reads");
    let seen: Vec<_> = read.iter().map(|it| (it.sequence, it.event_type.as_str(), it.event_version.as_str())).collect();
    assert_eq!(seen, [(1, "lead.captured", "2"), (2, "lead.fields_changed", "1")]);
    assert_eq!(read[1].payload, json!(set("a", 1)));

    let theirs = SerializedEvent::new(
        stream.to_string(),
        3,
        "lead".to_owned(),
        "lead.fields_changed".to_owned(),
        "1".to_owned(),
        json!(set("b", 2)),
        json!({ "actor": "stock" }),
    );
    stock.persist::<Lead>(&[theirs], None).await.expect("the stock repository appends");

    let store = PgEventStore::<Lead>::new(log.pool(), Arc::clone(&log.keys), log.appender.clone(), 0);
    let loaded = store.load_events(&stream.to_string()).await.expect("ours reads");
    assert_eq!(loaded.len(), 3);
    assert_eq!(loaded[2].metadata["actor"], "stock");
    let folded = log.folded(&stream).await;
    let fields = &folded.known().expect("a lead").fields;
    assert_eq!(json!(fields), json!({ "a": 1, "b": 2 }));
    // And ours goes on after theirs.
    log.appender.append(append(&stream, 3, &[set("c", 3)])).await.expect("ours again");
    let events = log.events(&stream).await;
    assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position), "the log's order is the stream's");
}
