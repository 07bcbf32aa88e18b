//! Appends side by side on one Postgres, in interleaved rounds: the raw one-row INSERT as the floor, our append,
//! our whole command (load, decide, append, outbox row), and stock postgres-es `execute`. Ratios matter; the
//! machine is shared. `cargo bench --bench append`

use std::sync::Arc;
use std::time::{Duration, Instant};

use application::actor::{Actor, Cause};
use application::commands::{Along, Commands};
use chrono::{DateTime, Utc};
use cqrs_es::CqrsFramework;
use cqrs_es::persist::PersistedEventStore;
use domain::conversation::Conversation;
use domain::conversation::command::ConversationCommand;
use domain::conversation::event::ConversationEvent;
use domain::shared::channel::{Address, Channel};
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ContactId, MessageId, StreamId, TenantId, UserId};
use domain::shared::inbound::{InboundKind, InboundMessage};
use domain::shared::phone::Phone;
use infrastructure::clock::SystemClock;
use infrastructure::event_store::append::{Append, Appender, NewEvent};
use infrastructure::event_store::commands::{PgCommands, Pokes};
use infrastructure::postgres::pool;
use postgres_es::PostgresEventRepository;
use serde_json::json;
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use uuid::Uuid;

const WRITERS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_500);
/// Commands to one stream: loading is part of a command, and streams are short.
const COMMANDS_A_STREAM: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Floor,
    Append,
    Command,
    Stock,
}

const WAYS: [Way; 4] = [Way::Floor, Way::Append, Way::Command, Way::Stock];

#[derive(Clone)]
struct Bench {
    pool: PgPool,
    appender: Appender,
    commands: Arc<PgCommands<Conversation>>,
    stock: Arc<CqrsFramework<Conversation, PersistedEventStore<PostgresEventRepository, Conversation>>>,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let database = TestDatabase::durable().await;
    let pool = pool::connect(database.options.clone(), pool::NAME, 40).await.expect("a pool");
    sqlx::query("create table floor (like events including defaults including generated including indexes)")
        .execute(&pool)
        .await
        .expect("a table");
    let appender = Appender::start(pool.clone());
    let commands =
        Arc::new(PgCommands::new(pool.clone(), tests::keys(&pool), appender.clone(), Arc::<Pokes>::default()));
    let repository = PostgresEventRepository::new(pool.clone());
    let stock = Arc::new(CqrsFramework::new(PersistedEventStore::new_event_store(repository), vec![], ()));
    let bench = Bench { pool, appender, commands, stock };
    println!("| writers | raw INSERT/s | our append | our command | stock execute | command : stock |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for writers in WRITERS {
        let mut rates = vec![Vec::new(); WAYS.len()];
        for round in 0..=ROUNDS {
            for (n, way) in WAYS.into_iter().enumerate() {
                let rate = bench.round(way, writers).await;
                // The first round warms caches and connections.
                if round > 0 {
                    rates[n].push(rate);
                }
            }
        }
        let ratio = |of: usize, to: usize| median(rates[of].iter().zip(&rates[to]).map(|(a, b)| a / b).collect());
        println!(
            "| {writers} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} |",
            median(rates[0].clone()),
            ratio(1, 0),
            ratio(2, 0),
            ratio(3, 0),
            ratio(2, 3)
        );
    }
}

impl Bench {
    /// Operations a second of all writers together.
    async fn round(&self, way: Way, writers: usize) -> f64 {
        let (began, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
        for _ in 0..writers {
            let bench = self.clone();
            tasks.spawn(async move {
                let mut done = 0_u32;
                let mut stream = bench.stream().await;
                while began.elapsed() < ROUND {
                    if done > 0 && (done as usize).is_multiple_of(COMMANDS_A_STREAM) {
                        stream = bench.stream().await;
                    }
                    bench.once(way, &stream, 2 + i64::from(done) % COMMANDS_A_STREAM as i64).await;
                    done += 1;
                }
                done
            });
        }
        let done: u32 = tasks.join_all().await.into_iter().sum();
        f64::from(done) / began.elapsed().as_secs_f64()
    }

    async fn once(&self, way: Way, stream: &StreamId, sequence: i64) {
        match way {
            Way::Floor => {
                let insert = "insert into floor (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                              values ('conversation', $1, $2, 'conversation.message_queued', '1', $3, $4)";
                let (event, metadata) = (json!(queued()), json!({ "actor": "user" }));
                let query = sqlx::query(insert).bind(stream.to_string()).bind(sequence + 1).bind(event).bind(metadata);
                query.execute(&self.pool).await.expect("a row");
            }
            Way::Append => {
                self.appender.append(append(stream, sequence, &[queued()])).await.expect("an append");
            }
            Way::Command => {
                let cause = Cause { actor: Actor::System, correlation: Uuid::nil(), causation: None, once: None };
                self.commands.run(stream, &cause, reply(), Along::default()).await.expect("a command");
            }
            Way::Stock => self.stock.execute(&stream.to_string(), reply()).await.expect("a command"),
        }
    }

    /// A conversation whose window is open.
    async fn stream(&self) -> StreamId {
        let stream = StreamId::new(TenantId(Uuid::nil()), Uuid::now_v7());
        self.appender.append(append(&stream, 0, &begun())).await.expect("a conversation");
        stream
    }
}

fn append(stream: &StreamId, expected: i64, events: &[ConversationEvent]) -> Append {
    let new = |event: &ConversationEvent| NewEvent {
        event_type: event.tag().to_owned(),
        event_version: "1".to_owned(),
        payload: json!(event).to_string(),
    };
    Append {
        aggregate_type: "conversation",
        stream: stream.clone(),
        meets: None,
        expected,
        events: events.iter().map(new).collect(),
        metadata: json!({ "actor": "user" }),
        once: Vec::new(),
        mark: Vec::new(),
        conclude: None,
        effects: Vec::new(),
    }
}

fn now() -> DateTime<Utc> {
    application::time::Clock::now(&SystemClock)
}

fn address() -> Address {
    Address::of_phone(Phone::parse("+972501234567").expect("a phone"))
}

fn text() -> OutboundContent {
    OutboundContent::Text {
        text: "Your order ORD-12345 is on its way and will arrive tomorrow.".into(),
        preview_url: false,
    }
}

fn reply() -> ConversationCommand {
    let message_id = MessageId(Uuid::now_v7());
    ConversationCommand::Reply { by: UserId(Uuid::nil()), message_id, content: text(), at: now() }
}

fn queued() -> ConversationEvent {
    ConversationEvent::MessageQueued {
        message_id: MessageId(Uuid::now_v7()),
        author: domain::conversation::event::Author::User,
        user_id: Some(UserId(Uuid::nil())),
        run_id: None,
        bulk_send_id: None,
        content: text(),
        line: tests::app::LINE.to_owned(),
        to: address(),
        at: now(),
    }
}

fn begun() -> [ConversationEvent; 2] {
    let message = InboundMessage {
        provider_message_id: "wamid.bench".into(),
        kind: InboundKind::Text,
        text: Some("hi".into()),
        choice: None,
        media: None,
        location: None,
        refers_to: None,
        raw: None,
        sent_at: now(),
    };
    let started = ConversationEvent::Started {
        contact_id: ContactId(Uuid::nil()),
        channel: Channel::Whatsapp,
        line: tests::app::LINE.to_owned(),
        address: address(),
        name: None,
        at: now(),
    };
    [started, ConversationEvent::MessageReceived { message_id: MessageId(Uuid::now_v7()), message, at: now() }]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
