//! `kill -9` in the middle of a bulk send: nobody is left out, nobody is written to twice without a mark.

use std::collections::HashMap;
use std::time::Duration;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use chrono::Utc;
use rand::Rng;
use serde_json::json;
use sqlx::PgPool;
use tests::app::{TestApp, eventually};
use tests::graph::{Graph, Reaction};

use super::child::Child;
use super::world::World;

/// Times the process is killed.
const KILLS: usize = 50;
/// Who is written to.
const RECIPIENTS: usize = 1_200;
/// Messages between two kills, at least and at most.
const BETWEEN: std::ops::Range<usize> = 3..18;

/// What the process that died had claimed is anybody's at once: time passes faster than it does.
async fn free_claims(pool: &PgPool) {
    let free = "update bulk_recipients set lease_until = now() where state = 0 and lease_token is not null";
    sqlx::query(free).execute(pool).await.expect("the recipients");
}

async fn line_sends(pool: &PgPool, per_second: i32) {
    let rate = sqlx::query("update whatsapp_lines set messages_per_second = $1").bind(per_second);
    rate.execute(pool).await.expect("a rate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_send_to_1_200_reaches_each_once_though_the_process_dies_50_times() {
    let graph = Graph::start().await;
    graph.plans(|_| Reaction::TakeAfter(Duration::from_millis(rand::rng().random_range(0..15))));
    // It is queued by a process that sends nothing.
    let quiet = Options { roles: Some("api,projector".to_owned()), ..Options::default() };
    let seed = TestApp::start_with(quiet, RateLimits::lifted()).await;
    let dana = seed.account("dana").await;
    dana.has_line().await;
    let phones: Vec<String> = (0..RECIPIENTS).map(|n| format!("+9725020{n:05}")).collect();
    let body = json!({ "templateName": "hello", "templateLanguage": "he", "phones": phones });
    let made = dana.post("/api/templates/bulk-send", &body).await.ok();
    assert_eq!(made["queued"], RECIPIENTS);
    let database = seed.stop().await;
    line_sends(&database.pool, 20).await;

    let mut process = Child::start(&database, &graph.url).await;
    let world = World::new(&[&process], graph, Duration::ZERO);
    let statuses = world.statuses_come();
    let (mut died, mut taken) = (Utc::now(), 0);
    for kill in 0..KILLS {
        // What it sent before it said that it listens counts: on a busy machine that is a lot.
        let wanted = taken + rand::rng().random_range(BETWEEN);
        eventually(&format!("{wanted} sent messages"), async || (world.graph.taken().len() >= wanted).then_some(()))
            .await;
        drop(process);
        died = Utc::now();
        taken = world.graph.taken().len();
        free_claims(&database.pool).await;
        if kill + 1 == KILLS {
            line_sends(&database.pool, 1_000).await;
        }
        process = Child::start(&database, &world.graph.url).await;
        world.moves_to(&[&process]);
    }
    let left = "select count(*) from bulk_sends where state = 'running'";
    for _ in 0..300 {
        let running: i64 = sqlx::query_scalar(left).fetch_one(&database.pool).await.expect("a count");
        if running == 0 && world.told() == world.graph.taken().len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.comes_to_rest(&database.pool, died).await;
    statuses.abort();

    let mut sent = HashMap::<String, usize>::new();
    for call in world.graph.taken() {
        *sent.entry(call.to).or_default() += 1;
    }
    let lost: Vec<&String> = phones.iter().filter(|phone| !sent.contains_key(*phone)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let twice: Vec<_> = sent.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "written to more than once: {twice:?}");
    assert_eq!(sent.len(), RECIPIENTS);
    drop(process);
}
