//! What commands write, column by column: each part of the statement takes its own as arrays.

use application::commands::Conclude;
use application::effects::Effect;
use chrono::{DateTime, Utc};
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use crate::event_store::append::Append;
use crate::event_store::append_sql::hashed;
use crate::event_store::append_sql::slots::{Left, Slots};
use crate::outbox::claim::LEASE_SEC;
use crate::outbox::queue_log;

/// How long a message may wait to be sent before it is dead: a day.
const SEND_WITHIN: &str = "24 hours";

/// The columns of the statement, filled command by command.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) once: Keys,
    pub(super) held: (Vec<i32>, Vec<i64>, Vec<Uuid>),
    pub(super) events: Events,
    pub(super) mark: Keys,
    pub(super) told: (Vec<Uuid>, Vec<Uuid>, Vec<i32>),
    pub(super) about: About,
    pub(super) sends: Sends,
    pub(super) later: Later,
    pub(super) slots: Slots,
    pub(super) left: Left,
    pub(super) buried: Buried,
    pub(super) recipients: Recipients,
}

#[derive(Default)]
pub(super) struct Keys {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    stream: Vec<String>,
    reference: Vec<String>,
}

#[derive(Default)]
pub(super) struct Buried {
    pub(super) command: Vec<i32>,
    id: Vec<i64>,
    token: Vec<Uuid>,
    error: Vec<String>,
    code: Vec<Option<i64>>,
    class: Vec<String>,
}

#[derive(Default)]
pub(super) struct Recipients {
    pub(super) command: Vec<i32>,
    bulk: Vec<Uuid>,
    number: Vec<i32>,
    token: Vec<Uuid>,
    message: Vec<Uuid>,
}

#[derive(Default)]
pub(super) struct About {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    contact: Vec<Uuid>,
    aggregate_type: Vec<String>,
    aggregate_id: Vec<String>,
}

#[derive(Default)]
pub(super) struct Events {
    pub(super) command: Vec<i32>,
    aggregate_type: Vec<String>,
    aggregate_id: Vec<String>,
    sequence: Vec<i64>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    payload: Vec<String>,
    metadata: Vec<String>,
}

#[derive(Default)]
pub(super) struct Later {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    work: Vec<String>,
    run_at: Vec<DateTime<Utc>>,
}

#[derive(Default)]
pub(super) struct Sends {
    pub(super) command: Vec<i32>,
    tenant: Vec<Uuid>,
    lane: Vec<Uuid>,
    bucket: Vec<String>,
    message: Vec<Uuid>,
    pub(super) retry: Vec<i32>,
    priority: Vec<i16>,
    recipient: Vec<String>,
    content: Vec<String>,
    token: Vec<Option<Uuid>>,
}

impl Keys {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.key)?;
        to.add(self.stream)?;
        to.add(self.reference)
    }
}

impl Buried {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.id)?;
        to.add(self.token)?;
        to.add(self.error)?;
        to.add(self.code)?;
        to.add(self.class)
    }
}

impl Recipients {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.bulk)?;
        to.add(self.number)?;
        to.add(self.token)?;
        to.add(self.message)
    }
}

impl Events {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.aggregate_type)?;
        to.add(self.aggregate_id)?;
        to.add(self.sequence)?;
        to.add(self.event_type)?;
        to.add(self.event_version)?;
        to.add(self.payload)?;
        to.add(self.metadata)
    }
}

impl About {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.contact)?;
        to.add(self.aggregate_type)?;
        to.add(self.aggregate_id)
    }
}

impl Sends {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.lane)?;
        to.add(self.bucket)?;
        to.add(self.message)?;
        to.add(self.priority)?;
        to.add(self.recipient)?;
        to.add(self.content)?;
        to.add(SEND_WITHIN)?;
        to.add(self.retry)?;
        to.add(self.token)?;
        to.add(LEASE_SEC)
    }
}

impl Later {
    pub(super) fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.key)?;
        to.add(self.work)?;
        to.add(self.run_at)
    }
}

impl Columns {
    pub(super) fn add(&mut self, command: i32, append: &Append, mut claim: Option<Uuid>) {
        let (tenant, stream) = (append.stream.tenant.0, append.stream.to_string());
        for (keys, list) in [(&mut self.once, &append.once), (&mut self.mark, &append.mark)] {
            for once in list {
                keys.command.push(command);
                keys.tenant.push(tenant);
                keys.key.push(hashed(&once.key));
                keys.stream.push(stream.clone());
                keys.reference.push(once.reference.clone());
            }
        }
        match &append.conclude {
            Some(Conclude::Leased { id, token }) => {
                self.held.0.push(command);
                self.held.1.push(*id);
                self.held.2.push(*token);
            }
            Some(Conclude::Buried { id, token, error }) => {
                self.buried.command.push(command);
                self.buried.id.push(*id);
                self.buried.token.push(*token);
                self.buried.error.push(queue_log::said(error));
                self.buried.code.push(queue_log::code(error));
                self.buried.class.push(error.class.to_string());
            }
            Some(Conclude::Told { message, retry }) => {
                self.told.0.push(tenant);
                self.told.1.push(message.0);
                self.told.2.push(i32::try_from(*retry).unwrap_or(i32::MAX));
            }
            Some(Conclude::Recipient { bulk, number, token, message }) => {
                self.recipients.command.push(command);
                self.recipients.bulk.push(bulk.0);
                self.recipients.number.push(*number);
                self.recipients.token.push(*token);
                self.recipients.message.push(message.0);
            }
            None => {}
        }
        if let Some(contact) = append.meets {
            self.about.command.push(command);
            self.about.tenant.push(tenant);
            self.about.contact.push(contact.0);
            self.about.aggregate_type.push(append.aggregate_type.to_owned());
            self.about.aggregate_id.push(stream.clone());
        }
        let metadata = append.metadata.to_string();
        for (sequence, event) in (append.expected + 1..).zip(&append.events) {
            let events = &mut self.events;
            events.command.push(command);
            events.aggregate_type.push(append.aggregate_type.to_owned());
            events.aggregate_id.push(stream.clone());
            events.sequence.push(sequence);
            events.event_type.push(event.event_type.clone());
            events.event_version.push(event.event_version.clone());
            events.payload.push(event.payload.clone());
            events.metadata.push(metadata.clone());
        }
        for (n, effect) in append.effects.iter().enumerate() {
            self.add_effect(command, tenant, n, append, effect, &mut claim);
        }
    }

    fn add_effect(
        &mut self,
        command: i32,
        tenant: Uuid,
        n: usize,
        append: &Append,
        effect: &Effect,
        claim: &mut Option<Uuid>,
    ) {
        match effect {
            Effect::Send(dispatch) => {
                let sends = &mut self.sends;
                sends.command.push(command);
                sends.tenant.push(tenant);
                sends.lane.push(dispatch.lane.0);
                sends.bucket.push(dispatch.bucket.clone());
                sends.message.push(dispatch.message_id.0);
                sends.retry.push(i32::try_from(dispatch.retry).unwrap_or(i32::MAX));
                sends.priority.push(dispatch.priority);
                sends.recipient.push(json(&dispatch.recipient));
                sends.content.push(json(&dispatch.content));
                sends.token.push(claim.take());
            }
            Effect::Later { work, run_at, key } => {
                self.later.command.push(command);
                self.later.tenant.push(tenant);
                let own = || format!("{}:{}:{}:{n}", append.aggregate_type, append.stream, append.expected + 1);
                self.later.key.push(key.clone().unwrap_or_else(own));
                self.later.work.push(json(work));
                self.later.run_at.push(*run_at);
            }
            Effect::TakeUp { resource, from, until } => {
                self.slots.add(command, (tenant, append.stream.id), resource, (*from, *until));
            }
            Effect::LetGo => self.left.add(command, tenant, append.stream.id),
        }
    }
}

/// As text, which the statement casts: bound as JSON it would go through `jsonb`, and be parsed and printed once more.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
