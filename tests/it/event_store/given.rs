//! Leads on a log of one's own: the smallest aggregate that can show everything.

use std::sync::Arc;

use application::actor::{Actor, Cause};
use application::commands::Once;
use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use domain::lead::Lead;
use domain::lead::command::{LeadCommand, LeadFacts};
use domain::lead::event::LeadEvent;
use domain::shared::ids::{ContactId, StreamId, TenantId};
use domain::shared::phone::Phone;
use infrastructure::event_store::append::{Append, Appender, NewEvent};
use infrastructure::event_store::commands::{PgCommands, Pokes};
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::log_reader::{RawEvent, read_stream};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use uuid::Uuid;

/// A log.
pub struct Log {
    pub database: TestDatabase,
    pub appender: Appender,
    pub keys: Arc<KeyRing>,
    pub tenant: TenantId,
}

impl Log {
    pub async fn empty() -> Self {
        let database = TestDatabase::create().await;
        let appender = Appender::start(database.pool.clone());
        let keys = tests::keys(&database.pool);
        Self { database, appender, keys, tenant: TenantId(Uuid::now_v7()) }
    }

    pub fn pool(&self) -> PgPool {
        self.database.pool.clone()
    }

    /// Another process on the same database.
    pub fn node(&self) -> PgCommands<Lead> {
        let keys = tests::keys(&self.database.pool);
        PgCommands::new(self.pool(), keys, Appender::start(self.pool()), Arc::<Pokes>::default())
    }

    /// The stream of the n-th lead.
    pub fn stream(&self, n: u32) -> StreamId {
        StreamId::new(self.tenant, Lead::id_of(self.tenant, &phone(n)).0)
    }

    /// What captures the n-th lead, and nothing else.
    pub fn capture(&self, n: u32) -> LeadCommand {
        LeadCommand::Tell {
            id: Lead::id_of(self.tenant, &phone(n)),
            contact: contact(n),
            phone: phone(n),
            facts: LeadFacts::default(),
            at: at(),
        }
    }

    pub fn captured(&self, n: u32) -> LeadEvent {
        LeadEvent::Captured {
            lead_id: Lead::id_of(self.tenant, &phone(n)),
            contact_id: Some(contact(n)),
            phone: Some(phone(n)),
            source: None,
            at: at(),
        }
    }

    /// Every event of a lead, as the log has it.
    pub async fn events(&self, stream: &StreamId) -> Vec<RawEvent> {
        let mut connection = self.database.pool.acquire().await.expect("a connection");
        let events = read_stream(&mut connection, Lead::TYPE, &stream.to_string(), 0, 100_000).await;
        let mut events = events.expect("its events");
        self.keys.open(&mut connection, &mut events).await.expect("opened");
        events
    }

    /// The fold of every event, from the first.
    pub async fn folded(&self, stream: &StreamId) -> Lead {
        let mut lead = Lead::default();
        for event in self.events(stream).await {
            lead.apply(event.decode::<LeadEvent>().expect("an event").event);
        }
        lead
    }

    pub async fn count(&self, table: &str) -> i64 {
        let count = format!("select count(*) from {table}");
        sqlx::query_scalar(&count).fetch_one(&self.database.pool).await.expect("a count")
    }

    /// A message in flight, held by this lease; its row.
    pub async fn in_flight(&self, lease: Uuid) -> i64 {
        sqlx::query_scalar(
            "insert into outbox (tenant_id, lane, bucket, message_id, recipient, content, state, expires_at, lease_token, lease_until)
             values ($1, gen_random_uuid(), '1', gen_random_uuid(), '{}', '{}', 1, now() + interval '1 hour', $2, now() + interval '1 minute')
             returning id",
        )
        .bind(self.tenant.0)
        .bind(lease)
        .fetch_one(&self.database.pool)
        .await
        .expect("a row")
    }
}

pub fn contact(n: u32) -> ContactId {
    ContactId(Uuid::from_u128(n.into()))
}

pub fn phone(n: u32) -> Phone {
    Phone::parse(&format!("+97250{n:07}")).expect("a phone")
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).expect("a time")
}

pub fn cause() -> Cause {
    Cause { actor: Actor::System, correlation: Uuid::nil(), causation: None, once: None }
}

/// Changes that come to one event: the field `name` becomes `value`.
pub fn sets(name: &str, value: impl Into<Value>) -> LeadCommand {
    let fields = [(name.to_owned(), value.into())].into_iter().collect();
    LeadCommand::Change { facts: LeadFacts { fields, ..LeadFacts::default() }, at: at() }
}

pub fn moves(status: &str) -> LeadCommand {
    LeadCommand::Change { facts: LeadFacts { status: Some(status.to_owned()), ..LeadFacts::default() }, at: at() }
}

pub fn set(name: &str, value: impl Into<Value>) -> LeadEvent {
    let fields = [(name.to_owned(), value.into())].into_iter().collect();
    LeadEvent::FieldsChanged { name: None, email: None, fields, at: at() }
}

/// An append of these events after `expected`.
pub fn append(stream: &StreamId, expected: i64, events: &[LeadEvent]) -> Append {
    let new = |event: &LeadEvent| NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: json!(event).to_string(),
    };
    Append {
        aggregate_type: Lead::TYPE,
        stream: stream.clone(),
        meets: None,
        expected,
        events: events.iter().map(new).collect(),
        metadata: json!({ "actor": "system" }),
        once: Vec::new(),
        mark: Vec::new(),
        conclude: None,
        effects: Vec::new(),
    }
}

pub fn key(key: &str) -> Once {
    Once { key: key.to_owned(), reference: String::new() }
}
