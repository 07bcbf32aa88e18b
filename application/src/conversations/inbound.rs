//! What channels tell us: messages, statuses, changed addresses. One effect each, for ever.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, DeliveryNews, Participants, Surroundings};
use domain::conversation::error::ConversationError;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, ConversationId, MessageId, StreamId};
use domain::shared::inbound::InboundMessage;
use serde_json::Value;

use crate::actor::{Actor, Cause};
use crate::channels::{InboundItem, Sender, StatusNews};
use crate::commands::{Along, CommandError, Commands, Conclude, Once, Reached, SentMessages};
use crate::contacts::{anew, is_erased};
use crate::conversations::ports::{Contacts, LineDirectory, LineFacts};
use crate::conversations::runs::RunDecisions;
use crate::error::AppResult;
use crate::identity::letters;

/// What became of one element of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It took effect, now or before.
    Done,
    /// It is kept, with the reason.
    Parked {
        /// The account, when one is named.
        tenant: Option<domain::shared::ids::TenantId>,
        /// Why.
        reason: String,
        /// What.
        element: Value,
    },
    /// It speaks of a message we do not know yet; try again shortly.
    NotYet(String),
}

/// Takes in what channels tell.
pub struct Inbound {
    /// Decides and appends.
    pub decisions: Arc<RunDecisions>,
    /// Where plain commands go.
    pub commands: Arc<dyn Commands<Conversation>>,
    /// Who wrote.
    pub contacts: Arc<dyn Contacts>,
    /// On which line.
    pub lines: Arc<dyn LineDirectory>,
    /// Which message a status speaks of.
    pub sent: Arc<dyn SentMessages>,
}

/// What we send along with a message to find it again: conversation and message.
pub fn correlation(conversation: ConversationId, message: MessageId) -> String {
    format!("{conversation}.{message}")
}

/// Reads what [`correlation`] wrote.
pub fn read_correlation(text: &str) -> Option<(ConversationId, MessageId)> {
    let (conversation, message) = text.split_once('.')?;
    Some((conversation.parse().ok()?, message.parse().ok()?))
}

impl Inbound {
    /// Takes in one element. `trusted` are the lines whose secret signed the webhook.
    ///
    /// # Errors
    /// The database could not be reached; nothing took effect.
    pub async fn take(&self, item: InboundItem, trusted: &[String], cause: &Cause) -> AppResult<Taken> {
        let line = match &item {
            InboundItem::Message { phone_number_id, .. }
            | InboundItem::Status { phone_number_id, .. }
            | InboundItem::AddressChanged { phone_number_id, .. } => Some(phone_number_id.as_str()),
            InboundItem::Parked { phone_number_id, .. } => phone_number_id.as_deref(),
        };
        let facts = match line {
            Some(id) if trusted.iter().any(|it| it == id) => self.lines.find(id).await?,
            Some(_) | None => None,
        };
        let Some(facts) = facts else {
            return Ok(park_unrouted(item));
        };
        match item {
            InboundItem::Message { sender, message, .. } => self.message(&facts, sender, message, cause).await,
            InboundItem::Status { news, .. } => self.status(&facts, news, cause).await,
            InboundItem::AddressChanged { from, to, .. } => self.address(&facts, &from, to, cause).await,
            InboundItem::Parked { reason, element, .. } => {
                Ok(Taken::Parked { tenant: Some(facts.tenant), reason, element })
            }
        }
    }

    async fn message(
        &self,
        line: &LineFacts,
        sender: Sender,
        mut message: InboundMessage,
        cause: &Cause,
    ) -> AppResult<Taken> {
        message.sent_at = refined(message.sent_at, self.decisions.now());
        let channel = Channel::Whatsapp;
        let around = self.decisions.surroundings(line, sender.address.phone.as_ref()).await?;
        let cause = Cause { actor: Actor::Customer, ..cause.clone() };
        let contact = self.contacts.resolve(line.tenant, channel, &sender.address).await?;
        match self.receive(line, contact, &sender, &message, &around, &cause).await {
            Err(error) if is_erased(&error) => {
                let contact = anew(&*self.contacts, line.tenant, channel, &sender.address).await?;
                done(self.receive(line, contact, &sender, &message, &around, &cause).await)
            }
            received => done(received),
        }
    }

    async fn receive(
        &self,
        line: &LineFacts,
        contact_id: ContactId,
        sender: &Sender,
        message: &InboundMessage,
        around: &Surroundings,
        cause: &Cause,
    ) -> Result<Reached, CommandError<ConversationError>> {
        let along = Along { once: vec![Once::inbound(&message.provider_message_id)], ..Along::default() };
        let participants = Participants {
            contact_id,
            channel: Channel::Whatsapp,
            line: line.phone_number_id.clone(),
            address: sender.address.clone(),
            name: sender.name.clone(),
        };
        let (message, around) = (message.clone(), around.clone());
        let command = ConversationCommand::Receive { participants, message, around };
        let conversation = Conversation::id_of(line.tenant, &line.phone_number_id, contact_id);
        self.decisions.run(&StreamId::new(line.tenant, conversation.0), cause, command, along).await
    }

    async fn status(&self, line: &LineFacts, news: StatusNews, cause: &Cause) -> AppResult<Taken> {
        if news.correlation.as_deref() == Some(letters::CORRELATION) {
            if let Some(error) = &news.error {
                tracing::warn!(line = line.phone_number_id, code = error.code, "A verification code was not delivered");
            }
            return Ok(Taken::Done);
        }
        let told = news.correlation.as_deref().and_then(read_correlation);
        let found = match told {
            Some(found) => Some(found),
            None => self.sent.find(line.tenant, &news.provider_message_id).await?,
        };
        let Some((conversation, message_id)) = found else {
            return Ok(Taken::NotYet(format!("no message of ours has the id {}", news.provider_message_id)));
        };
        let along = Along {
            once: Vec::new(),
            mark: vec![Once::outbound(&news.provider_message_id, message_id)],
            conclude: told.map(|_| Conclude::Told(message_id)),
        };
        let around = self.decisions.surroundings(line, None).await?;
        let news = DeliveryNews {
            message_id,
            status: news.status,
            provider_message_id: Some(news.provider_message_id),
            error: news.error,
            possible_duplicate: false,
            at: refined(news.at, self.decisions.now()),
        };
        let cause = Cause { actor: Actor::Channel, ..cause.clone() };
        let stream = StreamId::new(line.tenant, conversation.0);
        let command = ConversationCommand::Delivery { news, around };
        match self.decisions.run(&stream, &cause, command, along).await {
            Err(CommandError::Rule(ConversationError::NotFound)) => {
                Ok(Taken::NotYet("the conversation it speaks of is not ours".to_owned()))
            }
            other => done(other),
        }
    }

    async fn address(&self, line: &LineFacts, from: &Address, to: Address, cause: &Cause) -> AppResult<Taken> {
        let contact = self.contacts.link(line.tenant, Channel::Whatsapp, from, &to).await?;
        let conversation = Conversation::id_of(line.tenant, &line.phone_number_id, contact);
        let command = ConversationCommand::ChangeAddress { address: to, at: self.decisions.now() };
        let stream = StreamId::new(line.tenant, conversation.0);
        match self.commands.run(&stream, cause, command, Along::default()).await {
            // A contact that never wrote has no conversation; its identifiers are linked all the same.
            Err(CommandError::Rule(ConversationError::NotFound | ConversationError::ContactErased)) => Ok(Taken::Done),
            other => done(other),
        }
    }
}

/// Channels tell whole seconds: the instant lies inside that second, and not after now.
fn refined(told: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let whole = told.timestamp_subsec_nanos() == 0;
    let latest = if whole { told + TimeDelta::milliseconds(999) } else { told };
    latest.min(now)
}

fn done<T>(result: Result<T, CommandError<ConversationError>>) -> AppResult<Taken> {
    match result {
        Ok(_) | Err(CommandError::AlreadyDone) => Ok(Taken::Done),
        Err(error) => Err(error.into()),
    }
}

fn park_unrouted(item: InboundItem) -> Taken {
    let (reason, element) = match item {
        InboundItem::Parked { reason, element, .. } => (reason, element),
        InboundItem::Message { phone_number_id, message, .. } => {
            (format!("no account has the line {phone_number_id}"), serde_json::to_value(message).unwrap_or_default())
        }
        InboundItem::Status { phone_number_id, news } => (
            format!("no account has the line {phone_number_id}"),
            serde_json::json!({ "id": news.provider_message_id, "status": news.status }),
        ),
        InboundItem::AddressChanged { phone_number_id, from, to } => {
            (format!("no account has the line {phone_number_id}"), serde_json::json!({ "from": from, "to": to }))
        }
    };
    Taken::Parked { tenant: None, reason, element }
}
