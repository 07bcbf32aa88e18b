//! Three processes on one database, of which one stands still for a minute: the others do its work, and it goes on
//! without doing any of it again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use chrono::Utc;
use futures::StreamExt;
use infrastructure::nodes;
use infrastructure::outbox::departures::ANSWER_SEC;
use infrastructure::postgres::pool;
use rand::Rng;
use sqlx::PgPool;
use tests::app::{TestApp, eventually};
use tests::cluster::TestDatabase;
use tests::flows;
use tests::graph::{Graph, Reaction};

use crate::kill::child::Child;
use crate::kill::world::World;
use crate::projections::history::{dump, forget, projections, run};

/// How long it stands still: longer than every lease (a claim 5 s, an answer 45 s, a job 60 s) and every time limit
/// of a session, so that whatever it holds has been taken from it. That is what makes this test slow.
const STANDSTILL: Duration = Duration::from_secs(61);
/// Messages acknowledged before and after it.
const AROUND: usize = 60;
/// Messages acknowledged by the process just before it stops, none of them processed.
const CAUGHT: usize = 30;
/// Customers' pause between two messages: the point is who does the work, not how much.
const PAUSE: Duration = Duration::from_millis(120);

async fn count(pool: &PgPool, what: &str) -> i64 {
    sqlx::query_scalar(&format!("select count(*) from {what}")).fetch_one(pool).await.expect("a count")
}

async fn acknowledges(world: &World, more: usize) {
    let wanted = world.acknowledged() + more;
    eventually("acknowledged messages", async || (world.acknowledged() >= wanted).then_some(())).await;
}

/// The process acknowledges messages and stands still before it has processed them.
async fn stands_still(world: &World, process: &Child, others: &[&Child], pool: &PgPool) -> std::ops::Range<usize> {
    // Webhooks are journalled past this lock, and what they lead to waits behind it.
    let mut lock = pool.begin().await.expect("a transaction");
    sqlx::query("lock table events in share mode").execute(&mut *lock).await.expect("a lock");
    world.moves_to(&[process]);
    let caught = world.crowd_writes(CAUGHT).await;
    process.signal("STOP");
    lock.rollback().await.expect("the lock is gone");
    world.moves_to(&[process, others[0], others[1]]);
    caught
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_loses_nothing_and_does_nothing_twice() {
    let graph = Graph::start().await;
    graph.plans(|_| Reaction::TakeAfter(Duration::from_millis(rand::rng().random_range(0..15))));
    let seed = TestApp::start_with(Options::default(), RateLimits::lifted()).await;
    seed.account("dana").await.has_line().await.has_flow("echo", &flows::echo()).await;
    let database = seed.stop().await;
    let pool = &database.pool;

    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Child::start(&database, &graph.url).await);
    }
    let [a, b, c] = &nodes[..] else { unreachable!("three nodes") };
    let world = World::new(&[a, b, c], graph, PAUSE);
    let over = Arc::new(AtomicBool::new(false));
    let (writers, statuses) = (world.customers_write(&over), world.statuses_come());
    acknowledges(&world, AROUND).await;

    let caught = stands_still(&world, a, &[b, c], pool).await;
    let stopped = Utc::now();
    let minute = tokio::time::sleep(STANDSTILL);
    let keys: Vec<String> = caught.map(|n| format!("in:wamid.in.{n}")).collect();
    eventually("what the node acknowledged to be processed by others", async || {
        let query = sqlx::query_scalar(
            "select count(*) from once where right(key, 64) in (select encode(sha256(convert_to(k, 'UTF8')), 'hex') from unnest($1::text[]) k)",
        ).bind(&keys);
        let processed: i64 = query.fetch_one(pool).await.expect("a count");
        (processed == CAUGHT as i64).then_some(())
    })
    .await;
    assert!(count(pool, "webhook_journal where attempts > 0").await > 0, "something was taken over");
    minute.await;
    a.signal("CONT");
    acknowledges(&world, AROUND).await;
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("a writer");
    }
    world.comes_to_rest(pool, stopped).await;

    // Alone, it does everything there is to do.
    world.moves_to(&[a]);
    b.signal("KILL");
    c.signal("KILL");
    world.crowd_writes(CAUGHT).await;
    world.comes_to_rest(pool, stopped).await;
    statuses.abort();
    each_was_answered_once(&world);
    drop(nodes);
    nothing_stale_was_committed(pool, world.acknowledged() as i64).await;
}

fn each_was_answered_once(world: &World) {
    let mut answered = HashMap::<String, usize>::new();
    for call in world.graph.taken() {
        *answered.entry(call.text).or_default() += 1;
    }
    let twice: Vec<_> = answered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "answered more than once: {twice:?}");
    let written = world.acknowledged();
    let lost: Vec<_> = (0..written).filter(|n| !answered.contains_key(&format!("echo {n}"))).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} of {written}");
    world.each_answer_went_to_its_customer();
}

async fn nothing_stale_was_committed(pool: &PgPool, written: i64) {
    let out_of_order = "(select sequence, lag(sequence, 1, 0::bigint) over (partition by aggregate_type, aggregate_id
        order by log_epoch, transaction_id, global_position) as before from events) e where sequence <> before + 1";
    assert_eq!(count(pool, out_of_order).await, 0, "streams are dense, and in the order of the log");
    for kind in ["received", "queued", "delivered"] {
        let events = format!("events where event_type = 'conversation.message_{kind}'");
        assert_eq!(count(pool, &events).await, written, "{kind}: once each");
    }
    // Whether a delivered message is told to be sent depends on which news came first.
    let sent_twice = "(select from events where event_type = 'conversation.message_sent' group by payload ->> 'messageId' having count(*) > 1) t";
    assert_eq!(count(pool, sent_twice).await, 0);
    assert_eq!(count(pool, "outbox").await, 0, "nothing is left, and nothing is dead");
    assert_eq!(count(pool, "webhook_journal where state <> 1").await, 0, "every webhook is done");
    assert_eq!(count(pool, "parked_elements").await, 0);
    for projection in projections(pool, 1_000) {
        run(projection.as_ref(), pool).await;
    }
    let live = dump(pool).await;
    forget(pool).await;
    for projection in projections(pool, 1_000) {
        run(projection.as_ref(), pool).await;
    }
    assert_eq!(dump(pool).await, live, "the read models are what the log gives from zero");
}

/// Holds the moment between "it leaves" and the request open: the statement that says so waits for this lock.
const HOLD_DEPARTURES: &str = "
create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
create trigger hold before update on outbox for each row when (not old.leaving and new.leaving) execute function hold()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_was_about_to_send_when_it_stood_still_is_sent_by_another_alone() {
    let graph = Graph::start().await;
    let seed = TestApp::start_with(Options::default(), RateLimits::lifted()).await;
    seed.account("dana").await.has_line().await.has_flow("echo", &flows::echo()).await;
    let database = seed.stop().await;
    let pool = &database.pool;
    sqlx::raw_sql(HOLD_DEPARTURES).execute(pool).await.expect("a trigger");

    let a = Child::start(&database, &graph.url).await;
    let world = World::new(&[&a], graph, PAUSE);
    let mut hold = pool.begin().await.expect("a transaction");
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *hold).await.expect("a lock");
    world.crowd_writes(1).await;
    let waiting = "pg_locks l join pg_database d on d.oid = l.database
                    where l.locktype = 'advisory' and not l.granted and d.datname = current_database()";
    eventually("the message to leave", async || (count(pool, waiting).await == 1).then_some(())).await;
    a.signal("STOP");
    let answer = tokio::time::sleep(Duration::from_secs_f64(ANSWER_SEC + 1.0));
    hold.rollback().await.expect("the lock is gone");
    eventually("the message on its way", async || (count(pool, "outbox where leaving").await == 1).then_some(())).await;

    let b = Child::start(&database, &world.graph.url).await;
    eventually("the message to be sent again", async || {
        let time_passes = "update outbox set lease_until = now() - interval '1 second' where leaving or state = 3";
        sqlx::query(time_passes).execute(pool).await.expect("the outbox");
        (world.graph.calls().len() == 1).then_some(())
    })
    .await;
    // Really: the node that stands still has no other clock to read. It may send for as long as it may wait for an answer.
    answer.await;
    drop(b);
    a.signal("CONT");
    world.crowd_writes(1).await;
    let texts = || world.graph.calls().iter().map(|call| call.text.clone()).collect::<Vec<_>>();
    eventually("an answer of the node that went on", async || (texts().len() >= 2).then_some(())).await;
    assert_eq!(texts(), ["echo 0", "echo 1"]);
}

#[tokio::test]
async fn a_node_that_stands_still_while_it_reads_does_not_hold_up_the_readers_of_the_log() {
    // Where nobody waits for the horizon it holds.
    let database = TestDatabase::elsewhere().await;
    let node = pool::connect(database.options.clone(), pool::NAME, pool::connections_max())
        .await
        .expect("the connections of a node");
    let mut transaction = node.begin().await.expect("a transaction");
    sqlx::query("select pg_current_xact_id()").execute(&mut *transaction).await.expect("it writes");
    let mut answer =
        sqlx::query("select repeat('x', 1000) from generate_series(1, 100000)").fetch(&mut *transaction).boxed();
    answer.next().await.expect("a row").expect("a row");
    // Nobody reads on, and the transaction stays where it is.
    let held = "pg_stat_activity where datname = current_database() and backend_xid is not null";
    assert_eq!(count(&database.pool, held).await, 1);
    eventually("the session to be ended", async || {
        nodes::release(&database.pool, 0.3).await.expect("a look");
        (count(&database.pool, held).await == 0).then_some(())
    })
    .await;
    let rest: Vec<_> = answer.collect().await;
    assert!(rest.last().is_some_and(Result::is_err), "an error, never a short success");
}
