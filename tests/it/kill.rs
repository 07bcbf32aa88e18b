//! `kill -9` in the middle of everything: what was acknowledged is answered, and answered once.

mod bulk;
pub mod child;
pub mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use chrono::Utc;
use rand::Rng;
use tests::app::{TestApp, eventually};
use tests::flows;
use tests::graph::{Graph, Reaction};

use child::Child;
use world::World;

/// Times the process is killed.
const KILLS: usize = 4;
/// Messages between two kills, at least and at most.
const BETWEEN: std::ops::Range<usize> = 40..110;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_answered_once_however_often_the_process_dies() {
    let graph = Graph::start().await;
    graph.plans(|_| Reaction::TakeAfter(Duration::from_millis(rand::rng().random_range(0..15))));
    // The account, the line and the flow are made by a process that ends in good order.
    let seed = TestApp::start_with(Options::default(), RateLimits::lifted()).await;
    seed.account("dana").await.has_line().await.has_flow("echo", &flows::echo()).await;
    let database = seed.stop().await;

    let mut process = Child::start(&database, &graph.url).await;
    let world = World::new(&[&process], graph, Duration::ZERO);
    let over = Arc::new(AtomicBool::new(false));
    let writers = world.customers_write(&over);
    let statuses = world.statuses_come();
    let mut died = Utc::now();
    for _ in 0..KILLS {
        let wanted = world.acknowledged() + rand::rng().random_range(BETWEEN);
        eventually("acknowledged messages", async || (world.acknowledged() >= wanted).then_some(())).await;
        drop(process);
        died = Utc::now();
        process = Child::start(&database, &world.graph.url).await;
        world.moves_to(&[&process]);
    }
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("a writer");
    }
    let written = world.acknowledged();
    world.comes_to_rest(&database.pool, died).await;
    statuses.abort();

    let mut answered = HashMap::<String, usize>::new();
    for call in world.graph.taken() {
        *answered.entry(call.text).or_default() += 1;
    }
    let twice: Vec<_> = answered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "answered more than once: {twice:?}");
    let lost: Vec<_> = (0..written).filter(|n| !answered.contains_key(&format!("echo {n}"))).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} of {written}");
    assert_eq!(answered.len(), written);
    world.each_answer_went_to_its_customer();
    drop(process);
}

/// Not a test of its own: the process the test above kills. Without its variable it has nothing to do.
#[test]
fn serve_as_child() {
    child::serve();
}
