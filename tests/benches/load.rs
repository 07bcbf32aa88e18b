//! Loading a conversation of 1 000 events with and without its snapshot, side by side. Everything is sealed, as in
//! production. `cargo bench --bench load`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use application::actor::{Actor, Cause};
use application::commands::{Along, Commands};
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, Library, Participants, Surroundings};
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, StreamId, TenantId};
use domain::shared::inbound::{InboundKind, InboundMessage};
use domain::shared::phone::Phone;
use infrastructure::clock::SystemClock;
use infrastructure::event_store::append::Appender;
use infrastructure::event_store::commands::{PgCommands, Pokes};
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::load;
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use uuid::Uuid;

/// Events of the conversations. The last snapshot of both is of the 1 000th; 50 more are the mean of what comes after one.
const EVENTS: [i64; 2] = [1_000, 1_050];
const ROUNDS: usize = 200;

fn main() {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(run());
}

async fn run() {
    let database = TestDatabase::durable().await;
    let pool = database.pool.clone();
    let keys = tests::keys(&pool);
    println!("| events | without a snapshot µs | with it µs | ratio |");
    println!("| --- | --- | --- | --- |");
    for events in EVENTS {
        compare(&pool, &keys, events).await;
    }
}

async fn compare(pool: &PgPool, keys: &Arc<KeyRing>, events: i64) {
    let stream = StreamId::new(TenantId(Uuid::now_v7()), Uuid::now_v7());
    converse(pool, keys, &stream, events).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    sqlx::query("create table kept as select * from snapshots").execute(pool).await.expect("a copy");
    for round in 0..=ROUNDS {
        let quick = timed(pool, keys, &stream, events, true).await;
        sqlx::query("delete from snapshots").execute(pool).await.expect("deleted");
        let slow = timed(pool, keys, &stream, events, false).await;
        sqlx::query("insert into snapshots select * from kept").execute(pool).await.expect("put back");
        // The first round warms caches.
        if round > 0 {
            with.push(quick);
            without.push(slow);
        }
    }
    let (with, without) = (median(with), median(without));
    sqlx::query("drop table kept").execute(pool).await.expect("dropped");
    sqlx::query("delete from snapshots").execute(pool).await.expect("deleted");
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!("| {events} | {} | {} | {ratio:.3} |", without.as_micros(), with.as_micros());
}

async fn timed(pool: &PgPool, keys: &KeyRing, stream: &StreamId, events: i64, snapshot: bool) -> Duration {
    let began = Instant::now();
    let loaded = load::load::<Conversation>(pool, keys, stream).await.expect("a conversation");
    let took = began.elapsed();
    assert_eq!((loaded.sequence, loaded.snapshot > 0), (events, snapshot));
    took
}

/// A customer who writes until there are enough events.
async fn converse(pool: &PgPool, keys: &Arc<KeyRing>, stream: &StreamId, events: i64) {
    let commands: PgCommands<Conversation> =
        PgCommands::new(pool.clone(), Arc::clone(keys), Appender::start(pool.clone()), Arc::<Pokes>::default());
    let cause = Cause { actor: Actor::Customer, correlation: Uuid::nil(), causation: None, once: None };
    for n in 1..events {
        commands.run(stream, &cause, receive(n), Along::default()).await.expect("a message");
    }
    tests::app::eventually("the snapshot of the 1 000th event", async || {
        let last: Option<i64> =
            sqlx::query_scalar("select last_sequence from snapshots").fetch_optional(pool).await.expect("a look");
        (last == Some(1_000)).then_some(())
    })
    .await;
}

fn receive(n: i64) -> ConversationCommand {
    let now = application::time::Clock::now(&SystemClock);
    let message = InboundMessage {
        provider_message_id: format!("wamid.{n}"),
        kind: InboundKind::Text,
        text: Some("Where is my order ORD-12345? It should have arrived yesterday.".into()),
        choice: None,
        media: None,
        location: None,
        refers_to: None,
        raw: None,
        sent_at: now,
    };
    let participants = Participants {
        contact_id: ContactId(Uuid::nil()),
        channel: Channel::Whatsapp,
        line: tests::app::LINE.to_owned(),
        address: Address::of_phone(Phone::parse("+972501234567").expect("a phone")),
        name: Some("Dana Levi".into()),
    };
    let library = Library { active: Arc::from([]), pinned: None };
    let around = Surroundings {
        library,
        lead: None,
        timezone: chrono_tz::UTC,
        now,
        seed: Uuid::now_v7(),
        templates: TemplateChoices::AsAsked,
    };
    ConversationCommand::Receive { participants, message, around }
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}
