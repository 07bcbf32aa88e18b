//! The one statement of an append, for any number of commands.

mod part;
mod slots;

use std::collections::HashMap;

use application::commands::Conclude;
use application::effects::Effect;
use application::log::Position;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, PgExecutor, Row};
use uuid::Uuid;

use crate::event_store::append::{Append, AppendError};
use crate::event_store::append_sql::slots::{Left, Slots};
use crate::outbox::claim::LEASE_SEC;
use crate::outbox::queue_log;

/// How long a message may wait to be sent before it is dead: a day.
const SEND_WITHIN: &str = "24 hours";

/// A statement in the making: its parts, and the arguments in the order of their numbers.
struct Statement {
    parts: Vec<String>,
    arguments: PgArguments,
    refusals: Vec<&'static str>,
    claims: bool,
}

impl Statement {
    /// Adds a part, whose `{1}`, `{2}`, … are the next arguments.
    fn add(
        &mut self,
        part: &str,
        bind: impl FnOnce(&mut PgArguments) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        let before = self.arguments.len();
        bind(&mut self.arguments).map_err(sqlx::Error::Encode)?;
        let mut text = part.to_owned();
        for (n, number) in (1..).zip(before + 1..=self.arguments.len()) {
            text = text.replace(&format!("{{{n}}}"), &format!("${number}"));
        }
        let unless = if self.refusals.is_empty() { "" } else { part::UNLESS_REFUSED };
        self.parts.push(text.replace("{unless_refused}", unless));
        Ok(())
    }

    fn text(&self) -> String {
        let refused = if self.refusals.is_empty() { "" } else { part::REFUSED };
        let claimed = if self.claims { part::CLAIMED } else { "" };
        format!("with {}\n{}{refused}{claimed}", self.parts.join(", "), part::APPENDED)
    }
}

/// The columns of the statement, filled command by command.
#[derive(Default)]
struct Columns {
    once: Keys,
    held: (Vec<i32>, Vec<i64>, Vec<Uuid>),
    events: Events,
    mark: Keys,
    told: (Vec<Uuid>, Vec<Uuid>, Vec<i32>),
    about: About,
    sends: Sends,
    later: Later,
    slots: Slots,
    left: Left,
    buried: Buried,
}

#[derive(Default)]
struct Keys {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    stream: Vec<String>,
    reference: Vec<String>,
}

#[derive(Default)]
struct Buried {
    command: Vec<i32>,
    id: Vec<i64>,
    token: Vec<Uuid>,
    error: Vec<String>,
    code: Vec<Option<i64>>,
    class: Vec<String>,
}

#[derive(Default)]
struct About {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    contact: Vec<Uuid>,
    aggregate_type: Vec<String>,
    aggregate_id: Vec<String>,
}

#[derive(Default)]
struct Events {
    command: Vec<i32>,
    aggregate_type: Vec<String>,
    aggregate_id: Vec<String>,
    sequence: Vec<i64>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    payload: Vec<Value>,
    metadata: Vec<Value>,
}

#[derive(Default)]
struct Later {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    key: Vec<String>,
    work: Vec<Value>,
    run_at: Vec<DateTime<Utc>>,
}

#[derive(Default)]
struct Sends {
    command: Vec<i32>,
    tenant: Vec<Uuid>,
    lane: Vec<Uuid>,
    bucket: Vec<String>,
    message: Vec<Uuid>,
    retry: Vec<i32>,
    priority: Vec<i16>,
    recipient: Vec<Value>,
    content: Vec<Value>,
    token: Vec<Option<Uuid>>,
}

impl Keys {
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.key)?;
        to.add(self.stream)?;
        to.add(self.reference)
    }
}

impl Buried {
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.id)?;
        to.add(self.token)?;
        to.add(self.error)?;
        to.add(self.code)?;
        to.add(self.class)
    }
}

impl Events {
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
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
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.contact)?;
        to.add(self.aggregate_type)?;
        to.add(self.aggregate_id)
    }
}

impl Sends {
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
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
    fn bind(self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.command)?;
        to.add(self.tenant)?;
        to.add(self.key)?;
        to.add(self.work)?;
        to.add(self.run_at)
    }
}

impl Columns {
    fn add(&mut self, command: i32, append: &Append, mut claim: Option<Uuid>) {
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
            None => {}
        }
        if let Some(contact) = append.meets {
            self.about.command.push(command);
            self.about.tenant.push(tenant);
            self.about.contact.push(contact.0);
            self.about.aggregate_type.push(append.aggregate_type.to_owned());
            self.about.aggregate_id.push(stream.clone());
        }
        for (sequence, event) in (append.expected + 1..).zip(&append.events) {
            let events = &mut self.events;
            events.command.push(command);
            events.aggregate_type.push(append.aggregate_type.to_owned());
            events.aggregate_id.push(stream.clone());
            events.sequence.push(sequence);
            events.event_type.push(event.event_type.clone());
            events.event_version.push(event.event_version.clone());
            events.payload.push(event.payload.clone());
            events.metadata.push(append.metadata.clone());
        }
        for (n, effect) in append.effects.iter().enumerate() {
            self.add_effect(command, tenant, n, append, effect, &mut claim);
        }
    }

    /// The statement that writes them.
    fn statement(self) -> Result<Statement, sqlx::Error> {
        let Self { once, held, events, mark, told, about, sends, later, slots, left, buried } = self;
        let mut it =
            Statement { parts: Vec::new(), arguments: PgArguments::default(), refusals: Vec::new(), claims: false };
        if !once.command.is_empty() {
            it.add(part::KEYS, |to| once.bind(to))?;
            it.refusals.push(part::KEYS_REFUSED);
        }
        if !held.0.is_empty() {
            it.add(part::LEASES, |to| to.add(held.0).and_then(|()| to.add(held.1)).and_then(|()| to.add(held.2)))?;
            it.refusals.push(part::LEASES_REFUSED);
        }
        if !buried.command.is_empty() {
            it.add(part::GRAVES, |to| buried.bind(to))?;
            it.refusals.push(part::GRAVES_REFUSED);
        }
        if !it.refusals.is_empty() {
            it.parts.push(format!("refused as ({})", it.refusals.join(" union all ")));
        }
        it.add(part::EVENTS, |to| events.bind(to))?;
        if !mark.command.is_empty() {
            it.add(part::MARKS, |to| mark.bind(to))?;
        }
        if !about.command.is_empty() {
            it.add(part::ABOUT, |to| about.bind(to))?;
        }
        if !told.0.is_empty() {
            it.add(part::TOLD, |to| to.add(told.0).and_then(|()| to.add(told.1)).and_then(|()| to.add(told.2)))?;
        }
        if !sends.command.is_empty() {
            // Only a retry finds a row of its message, a dead one; the others need not look.
            let again = if sends.retry.iter().any(|retry| *retry > 0) { part::SENDS_AGAIN } else { "" };
            it.claims = true;
            it.add(&part::SENDS.replace("{again}", again), |to| sends.bind(to))?;
        }
        if !later.command.is_empty() {
            it.add(part::LATER, |to| later.bind(to))?;
        }
        if !slots.command.is_empty() {
            it.add(part::SLOTS, |to| slots.bind(to))?;
        }
        if !left.command.is_empty() {
            it.add(part::LEFT, |to| left.bind(to))?;
        }
        Ok(it)
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

/// As keys are kept: their kind in clear, the rest hashed, for a provider's message id holds the customer's phone.
pub(crate) fn hashed(key: &str) -> String {
    let kind = key.split_once(':').map_or("", |(kind, _)| kind);
    format!("{kind}:{}", hex::encode(Sha256::digest(key)))
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What became of a command.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// The position of its last event.
    pub position: Option<Position>,
    /// The row of its first message, when its token claimed it.
    pub claimed: Option<i64>,
}

/// Writes these commands, each with the token that is to claim its first message; an error means that none of them was
/// written.
pub(super) async fn execute(
    pool: impl PgExecutor<'_>,
    appends: &[(&Append, Option<Uuid>)],
) -> Result<Vec<Result<Written, AppendError>>, sqlx::Error> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = Columns::default();
    for (command, (append, claim)) in (0..).zip(appends) {
        columns.add(command, append, *claim);
    }
    let statement = columns.statement()?;
    let rows = sqlx::query_with(&statement.text(), statement.arguments).fetch_all(pool).await?;
    read(appends, &rows)
}

fn read(appends: &[(&Append, Option<Uuid>)], rows: &[PgRow]) -> Result<Vec<Result<Written, AppendError>>, sqlx::Error> {
    let of_stream: HashMap<_, _> = (0..)
        .zip(appends)
        .map(|(command, (append, _))| ((append.aggregate_type, append.stream.to_string()), command))
        .collect();
    let of_token: HashMap<_, _> = (0..).zip(appends).filter_map(|(n, (_, token))| Some(((*token)?, n))).collect();
    let mut results: Vec<_> = appends.iter().map(|_| Ok(Written::default())).collect();
    for row in rows {
        if let Some(command) = row.try_get::<Option<i32>, _>("command")? {
            let lease = row.try_get::<&str, _>("reason")? == "lease";
            let refused = if lease { AppendError::LeaseLost } else { AppendError::KeyTaken };
            if let Some(result) = results.get_mut(usize::try_from(command).unwrap_or(usize::MAX)) {
                *result = Err(refused);
            }
        } else if let Some(token) = row.try_get::<Option<Uuid>, _>("token")? {
            if let Some(Ok(written)) = of_token.get(&token).and_then(|n: &usize| results.get_mut(*n)) {
                written.claimed = row.try_get("claimed")?;
            }
        } else {
            let position = Position {
                epoch: row.try_get("log_epoch")?,
                transaction: row.try_get::<&str, _>("transaction_id")?.parse().unwrap_or_default(),
                number: row.try_get("global_position")?,
            };
            let stream = (row.try_get::<&str, _>("aggregate_type")?, row.try_get("aggregate_id")?);
            if let Some(Ok(written)) = of_stream.get(&stream).and_then(|n: &usize| results.get_mut(*n)) {
                written.position = written.position.max(Some(position));
            }
        }
    }
    Ok(results)
}
