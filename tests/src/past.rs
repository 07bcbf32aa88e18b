//! A long past, written at once: conversations of twenty events, as customers, flows and people have them.

use chrono::{DateTime, TimeDelta, Utc};
use domain::conversation::event::{Author, ConversationEvent, RunInput, TriggerKind};
use domain::flow::graph::NodeId;
use domain::flow::run::{Outcome, Scopes, Variables, Visit, Wait, WaitFor};
use domain::shared::channel::{Address, Channel};
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ContactId, FlowId, MessageId, RunId, StreamId, TenantId, UserId};
use domain::shared::inbound::{InboundKind, InboundMessage};
use domain::shared::phone::Phone;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::LINE;

/// Events of a conversation.
pub const EVENTS: usize = 20;
/// Conversations that go on at the same time.
const AT_ONCE: usize = 100;

/// The columns of events to be inserted.
#[derive(Default)]
struct Rows {
    stream: Vec<String>,
    sequence: Vec<i64>,
    kind: Vec<&'static str>,
    payload: Vec<String>,
    metadata: Vec<String>,
}

/// Writes that many conversations of an account; returns their streams.
pub async fn write(pool: &PgPool, tenant: TenantId, conversations: usize) -> Vec<StreamId> {
    let streams: Vec<StreamId> = (0..conversations).map(|_| StreamId::new(tenant, Uuid::now_v7())).collect();
    for (n, together) in streams.chunks(AT_ONCE).enumerate() {
        let all: Vec<_> = (n * AT_ONCE..).zip(together).map(|(n, stream)| (stream, conversation(n))).collect();
        let mut rows = Rows::default();
        for (sequence, place) in (1..).zip(0..EVENTS) {
            for (stream, events) in &all {
                rows.stream.push(stream.to_string());
                rows.sequence.push(sequence);
                rows.kind.push(events[place].tag());
                rows.payload.push(json!(events[place]).to_string());
                let metadata =
                    json!({ "actor": "flow", "correlationId": Uuid::now_v7(), "causationId": stream.id.to_string() });
                rows.metadata.push(metadata.to_string());
            }
        }
        insert(pool, rows).await;
    }
    streams
}

async fn insert(pool: &PgPool, rows: Rows) {
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         select 'conversation', id, n, kind, '1', payload::json, metadata::json
           from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) as e(id, n, kind, payload, metadata)",
    )
    .bind(rows.stream)
    .bind(rows.sequence)
    .bind(rows.kind)
    .bind(rows.payload)
    .bind(rows.metadata)
    .execute(pool)
    .await
    .expect("a past");
}

fn at(second: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).expect("a time") + TimeDelta::seconds(second as i64)
}

fn node(n: usize) -> NodeId {
    NodeId(n.to_string())
}

fn variables(n: usize, step: usize) -> Variables {
    let value = json!({ format!("answer{step}"): format!("I would like order {n} delivered on Sunday, please"),
                        "orderId": format!("ORD-{n}"), "language": "he" });
    value.as_object().cloned().unwrap_or_default()
}

/// One conversation: the customer asks, a flow answers and asks back, a person takes over and closes it.
fn conversation(n: usize) -> Vec<ConversationEvent> {
    let (run_id, user) = (RunId(Uuid::now_v7()), UserId(Uuid::from_u128(7)));
    let flow_id = FlowId(Uuid::from_u128(1 + (n % 10) as u128));
    let address = Address::of_phone(Phone::parse(&format!("+9725{:08}", n % 100_000_000)).expect("a phone"));
    let ids: Vec<MessageId> = (0..5).map(|_| MessageId(Uuid::now_v7())).collect();
    let told = |id: usize, text: &str, second| ConversationEvent::MessageReceived {
        message_id: ids[id],
        message: InboundMessage {
            provider_message_id: format!("wamid.HBgMOTcyNTAxMjM0NTY3FQIAEhgg{n:016}{id}"),
            kind: InboundKind::Text,
            text: Some(format!("{text} (order {n}): when does it arrive, and can I still change the address?")),
            choice: None,
            media: None,
            location: None,
            refers_to: None,
            raw: None,
            sent_at: at(n + second),
        },
        at: at(n + second),
    };
    let queued = |id: usize, author, second| ConversationEvent::MessageQueued {
        message_id: ids[id],
        author,
        user_id: (author == Author::User).then_some(user),
        run_id: (author == Author::Flow).then_some(run_id),
        bulk_send_id: None,
        content: OutboundContent::Text {
            text: format!(
                "Hello Dana, your order ORD-{n} is on its way and will arrive on Sunday before noon. Anything else?"
            ),
            preview_url: false,
        },
        line: LINE.to_owned(),
        to: address.clone(),
        at: at(n + second),
    };
    let sent = |id: usize, second| ConversationEvent::MessageSent {
        message_id: ids[id],
        provider_message_id: format!("wamid.HBgMOTcyNTAxMjM0NTY3FQIAERgS{n:016}{id}"),
        possible_duplicate: false,
        at: at(n + second),
    };
    let delivered = |id: usize, second| ConversationEvent::MessageDelivered { message_id: ids[id], at: at(n + second) };
    let read = |id: usize, second| ConversationEvent::MessageRead { message_id: ids[id], at: at(n + second) };
    let stepped = |unit, input, second| ConversationEvent::FlowRunStepped {
        run_id,
        unit,
        input,
        path: (0..3)
            .map(|step| Visit { node: node(step), kind: "send_text".to_owned(), exit: Some("next".to_owned()) })
            .collect(),
        set: variables(n, unit as usize),
        lead: None,
        warnings: Vec::new(),
        at: at(n + second),
    };
    let started = ConversationEvent::Started {
        contact_id: ContactId(Uuid::now_v7()),
        channel: Channel::Whatsapp,
        line: LINE.to_owned(),
        address: address.clone(),
        name: Some(format!("Dana Levi {n}")),
        at: at(n),
    };
    let scopes = Scopes {
        contact: json!({ "name": format!("Dana Levi {n}"), "phone": address.phone, "language": "he" }),
        lead: json!({ "status": "new", "fields": { "city": "Haifa" } }),
        ..Scopes::default()
    };
    let run_started = ConversationEvent::FlowRunStarted {
        run_id,
        flow_id,
        version: 3,
        trigger: TriggerKind::Message,
        node: node(1),
        scopes,
        variables: variables(n, 0),
        expires_at: at(n + 1_000_000),
        at: at(n + 2),
    };
    let waiting = ConversationEvent::FlowRunWaiting {
        run_id,
        step: 1,
        node: node(4),
        wait: Wait { wait_for: WaitFor::Reply, until: Some(at(n + 90_000)), refused: 0 },
        resume_at: at(n + 90_000),
        at: at(n + 5),
    };
    let ended = ConversationEvent::FlowRunEnded { run_id, outcome: Outcome::Completed, detail: None, at: at(n + 15) };
    vec![
        started,
        told(0, "Hello", 1),
        run_started,
        stepped(1, RunInput::Start, 3),
        queued(1, Author::Flow, 4),
        waiting,
        sent(1, 6),
        delivered(1, 7),
        read(1, 8),
        told(2, "Thank you", 9),
        stepped(2, RunInput::Reply { message_id: ids[2] }, 10),
        queued(3, Author::Flow, 11),
        sent(3, 12),
        delivered(3, 13),
        read(3, 14),
        ended,
        ConversationEvent::Claimed { by: user, at: at(n + 16) },
        queued(4, Author::User, 17),
        sent(4, 18),
        ConversationEvent::Closed { by: user, at: at(n + 19) },
    ]
}
