//! What channels tell us: messages, statuses, changed addresses. One effect each, for ever.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, DeliveryNews, Participants, Surroundings};
use domain::conversation::error::ConversationError;
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{ContactId, StreamId};
use domain::shared::inbound::InboundMessage;
use domain::shared::provider_error::ErrorClass;
use serde_json::Value;

use crate::actor::{Actor, Cause};
use crate::bulk::ports::OptOuts;
use crate::channels::lines::LineStops;
use crate::channels::{InboundItem, Sender, StatusNews};
use crate::commands::{Along, CommandError, Commands, Conclude, Once, Reached, SentMessages, Try};
use crate::contacts::{anew, is_erased};
use crate::conversations::ports::{Contacts, LineDirectory, LineFacts};
use crate::conversations::runs::RunDecisions;
use crate::error::AppResult;
use crate::identity::letters;
use crate::templates::hear::{TemplateHearing, TemplateNews};

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
    /// What is told of templates.
    pub templates: Arc<TemplateHearing>,
    /// Who wants no messages of many.
    pub opt_outs: Arc<dyn OptOuts>,
    /// Stops a line whose account may not send.
    pub stops: Arc<dyn LineStops>,
}

impl Inbound {
    /// Takes in one element. `trusted` are the lines whose secret signed the webhook.
    ///
    /// # Errors
    /// The database could not be reached; nothing took effect.
    pub async fn take(&self, item: InboundItem, trusted: &[String], cause: &Cause) -> AppResult<Taken> {
        if let InboundItem::Template(told) = item {
            return self.template(told, trusted, cause).await;
        }
        let line = match &item {
            InboundItem::Message { phone_number_id, .. }
            | InboundItem::Status { phone_number_id, .. }
            | InboundItem::Preference { phone_number_id, .. }
            | InboundItem::AddressChanged { phone_number_id, .. } => Some(phone_number_id.as_str()),
            InboundItem::Parked { phone_number_id, .. } => phone_number_id.as_deref(),
            InboundItem::Template(_) => None,
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
            InboundItem::Preference { phone, wants_marketing, at, .. } => {
                self.opt_outs.set(facts.tenant, &phone, "user_preferences", !wants_marketing, at).await?;
                Ok(Taken::Done)
            }
            InboundItem::Parked { reason, element, .. } => {
                Ok(Taken::Parked { tenant: Some(facts.tenant), reason, element })
            }
            item @ InboundItem::Template(_) => Ok(park_unrouted(item)),
        }
    }

    /// News of a template name no line, but a WhatsApp Business Account: they are for every account that has a line
    /// there whose secret signed the webhook.
    async fn template(&self, told: TemplateNews, trusted: &[String], cause: &Cause) -> AppResult<Taken> {
        let mut tenants = Vec::new();
        for line in trusted {
            let facts = self.lines.find(line).await?.filter(|facts| facts.waba_id == told.waba_id);
            tenants.extend(facts.map(|facts| facts.tenant).filter(|tenant| !tenants.contains(tenant)));
        }
        if tenants.is_empty() {
            return Ok(park_unrouted(InboundItem::Template(told)));
        }
        for tenant in tenants {
            self.templates.hear(tenant, &told, cause).await?;
        }
        Ok(Taken::Done)
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
        self.decisions.run(&StreamId::new(line.tenant, conversation.0), line, cause, command, along).await
    }

    async fn status(&self, line: &LineFacts, news: StatusNews, cause: &Cause) -> AppResult<Taken> {
        if news.correlation.as_deref() == Some(letters::CORRELATION) {
            if let Some(error) = &news.error {
                tracing::warn!(line = line.phone_number_id, code = error.code, "A verification code was not delivered");
            }
            return Ok(Taken::Done);
        }
        let told = news.correlation.as_deref().and_then(Try::read);
        let found = match told {
            Some(found) => Some(found),
            None => self.sent.find(line.tenant, &news.provider_message_id).await?,
        };
        let Some(found) = found else {
            return Ok(Taken::NotYet(format!("no message of ours has the id {}", news.provider_message_id)));
        };
        let along = Along {
            once: Vec::new(),
            mark: vec![Once::outbound(&news.provider_message_id, found.message, found.retry)],
            conclude: told.map(|it| Conclude::Told { message: it.message, retry: it.retry }),
        };
        let around = self.decisions.surroundings(line, None).await?;
        let news = DeliveryNews {
            message_id: found.message,
            status: news.status,
            provider_message_id: Some(news.provider_message_id),
            error: news.error,
            possible_duplicate: false,
            retry: found.retry,
            at: refined(news.at, self.decisions.now()),
        };
        let cause = Cause { actor: Actor::Channel, ..cause.clone() };
        let stream = StreamId::new(line.tenant, found.conversation.0);
        let stop = news.error.clone().filter(|error| error.class == ErrorClass::Sender).map(|error| (error, news.at));
        let command = ConversationCommand::Delivery { news, around };
        let taken = self.decisions.run(&stream, line, &cause, command, along).await;
        // What was told before, and the same again days later, stops nothing.
        if let (Some((error, at)), Ok(Reached { position: Some(_), .. })) = (stop, &taken) {
            self.stops.stop(&line.phone_number_id, &error, at).await?;
        }
        match taken {
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
pub(crate) fn refined(told: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
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
        InboundItem::Preference { phone_number_id, wants_marketing, .. } => (
            format!("no account has the line {phone_number_id}"),
            serde_json::json!({ "wantsMarketing": wants_marketing }),
        ),
        InboundItem::Template(told) => {
            (format!("no account has a line in the WhatsApp Business Account {}", told.waba_id), told.element)
        }
    };
    Taken::Parked { tenant: None, reason, element }
}
