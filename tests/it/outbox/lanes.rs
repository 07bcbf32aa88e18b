//! One message in flight a conversation, in order; lines and conversations do not hold each other up.

use std::sync::Arc;
use std::time::Duration;

use tests::app::{LINE, eventually};
use tests::graph::Reaction;
use tokio::sync::Semaphore;

use crate::outbox::stage::{OTHER_LINE, Stage};

#[tokio::test]
async fn a_conversation_keeps_its_order_however_slowly_graph_answers() {
    let stage = Stage::set().await;
    // The earlier, the slower: whoever sent two at once would see them overtake each other.
    stage.graph.plans(|call| {
        let n: u64 = call.text.trim_start_matches("echo ").parse().unwrap_or_default();
        Reaction::TakeAfter(Duration::from_millis(60_u64.saturating_sub(n * 6)))
    });
    for n in 0..10 {
        stage.hears("972500000001", &n.to_string()).await;
        stage.hears("972500000002", &n.to_string()).await;
    }
    stage.taken(20).await;
    let expected: Vec<String> = (0..10).map(|n| format!("echo {n}")).collect();
    for customer in ["+972500000001", "+972500000002"] {
        let calls = stage.graph.calls();
        let texts: Vec<_> = calls.iter().filter(|call| call.to == customer).map(|call| call.text.clone()).collect();
        assert_eq!(texts, expected);
        assert_eq!(stage.graph.crowd(customer), 1, "one message in flight a conversation");
    }
}

#[tokio::test]
async fn a_line_that_hangs_holds_up_no_other() {
    let stage = Stage::set().await;
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    stage
        .graph
        .plans(move |call| if call.line == LINE { Reaction::TakeWhen(Arc::clone(&closed)) } else { Reaction::Take });
    stage.line_sends(LINE, 192).await;
    for n in 0..300 {
        stage.hears(&format!("9725100{n:05}"), "hello").await;
    }
    eventually("a line that takes no more", async || (stage.graph.calls().len() >= 96).then_some(())).await;
    stage.hears_on(OTHER_LINE, "972500000077", "hello").await;
    let found = async || stage.graph.calls().into_iter().find(|call| call.line == OTHER_LINE);
    eventually("the other line's message", found).await;
    stage.said_is("972500000077", "sent").await;
    assert_eq!(stage.graph.calls().len(), 97, "the hanging line has what it sends in half a second in flight");
    gate.add_permits(400);
    stage.taken(301).await;
}
