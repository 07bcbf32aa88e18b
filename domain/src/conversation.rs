//! A conversation: one contact on one line, its messages, the flow that runs in it, the person who has it.
//!
//! Invariants: one run at a time; no run moves while a person has the conversation; the status of one try of a
//! message only ever gets to know more.

pub mod command;
pub mod decide;
pub mod delivery;
pub mod error;
pub mod event;
pub mod flow_run;
pub mod handling;
pub mod personal;
pub mod receive;
pub mod retry;
pub mod template_choice;
pub mod what_if;

#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::conversation::command::ConversationCommand;
use crate::conversation::error::ConversationError;
use crate::conversation::event::{Author, ConversationEvent};
use crate::decide::aggregate;
use crate::flow::run::Run;
use crate::shared::channel::{Address, Channel};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{ContactId, ConversationId, MessageId, TenantId, UserId};
use crate::shared::provider_error::{ErrorClass, ProviderError};
use crate::shared::service_window;
use crate::template_group::Member;

/// How many outbound messages the state remembers the status of; news of older ones is told by the log alone.
const REMEMBERED_MESSAGES_MAX: usize = 256;
/// What the id of a bulk send's message is derived by: it is known before the message is.
pub const BULK_MESSAGE: &str = "bulk";
/// Identical messages to one contact …
pub const LOOP_MESSAGES: usize = 20;
/// … inside this time park the run.
pub const LOOP_WINDOW: TimeDelta = TimeDelta::minutes(5);

/// An outbound message, as far as rules need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// Its id.
    pub id: MessageId,
    /// How far it came.
    pub status: DeliveryStatus,
    /// Whether the channel's id of it is known.
    pub identified: bool,
    /// How often a person had it sent again.
    #[serde(default)]
    pub retry: u32,
    /// Whether the channel called it failed after it had arrived.
    #[serde(default)]
    pub failed_late: bool,
    /// Whether it is one of many, which yield to conversations.
    #[serde(default)]
    pub is_bulk: bool,
    /// The template it goes with.
    #[serde(default)]
    pub template: Option<Box<TemplateContent>>,
    /// Templates the channel refused for it, with its codes.
    #[serde(default)]
    pub refusals: Vec<(Member, i64)>,
    /// Whether the last try failed for its template.
    #[serde(default)]
    pub template_refused: bool,
}

impl Outbound {
    fn queued(id: MessageId, retry: u32, is_bulk: bool, content: OutboundContent) -> Self {
        let template = match content {
            OutboundContent::Template(template) => Some(Box::new(template)),
            _ => None,
        };
        Self {
            id,
            status: DeliveryStatus::Queued,
            identified: false,
            retry,
            failed_late: false,
            is_bulk,
            template,
            refusals: Vec::new(),
            template_refused: false,
        }
    }
}

/// A conversation that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The contact.
    pub contact_id: ContactId,
    /// Where.
    pub channel: Channel,
    /// Our line.
    pub line: String,
    /// How the contact is reached.
    pub address: Address,
    /// The contact's name.
    pub name: Option<String>,
    /// When the customer last wrote, by the channel's clock; what the service window counts from.
    pub last_customer_message_at: Option<DateTime<Utc>>,
    /// Who has it.
    pub claimed_by: Option<UserId>,
    /// Whether it is closed.
    pub closed: bool,
    /// Whether the contact was erased: nothing happens here any more.
    #[serde(default)]
    pub erased: bool,
    /// How often it changed hands.
    pub version: u32,
    /// The run under way.
    pub run: Option<Run>,
    /// The run's last message, for those that wait for its delivery.
    pub run_message: Option<MessageId>,
    /// The newest outbound messages, oldest first.
    pub outbound: Vec<Outbound>,
    /// What flows said lately, for the loop guard: content hash and time.
    pub said: Vec<(u64, DateTime<Utc>)>,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conversation(pub Option<Box<Begun>>);

aggregate!(Conversation, "conversation", ConversationCommand, ConversationEvent, ConversationError);

impl Conversation {
    /// The id of the conversation of a contact on a line: one by construction, so that a race of two
    /// first messages meets at one stream.
    pub fn id_of(tenant: TenantId, line: &str, contact: ContactId) -> ConversationId {
        ConversationId::derive(tenant.0, &format!("conversation:{line}:{contact}"))
    }

    /// The conversation, if it has begun.
    ///
    /// # Errors
    /// It has not.
    pub fn begun(&self) -> Result<&Begun, ConversationError> {
        self.0.as_deref().ok_or(ConversationError::NotFound)
    }

    pub(crate) fn apply_event(&mut self, event: ConversationEvent) {
        match (&mut self.0, event) {
            (none @ None, ConversationEvent::Started { contact_id, channel, line, address, name, .. }) => {
                *none = Some(Box::new(Begun {
                    contact_id,
                    channel,
                    line,
                    address,
                    name,
                    last_customer_message_at: None,
                    claimed_by: None,
                    closed: false,
                    erased: false,
                    version: 1,
                    run: None,
                    run_message: None,
                    outbound: Vec::new(),
                    said: Vec::new(),
                }));
            }
            (None, _) => {}
            (Some(begun), event) => begun.apply(event),
        }
    }
}

impl Begun {
    /// Whether a free-form message may be sent.
    pub fn window_open(&self, now: DateTime<Utc>) -> bool {
        service_window::is_open(self.last_customer_message_at, now)
    }

    fn apply(&mut self, event: ConversationEvent) {
        match event {
            ConversationEvent::Started { .. }
            | ConversationEvent::MessageHeldBack { .. }
            | ConversationEvent::TemplateChosen { .. }
            | ConversationEvent::HandoffRequested { .. } => {}
            ConversationEvent::ContactChanged { address, name, .. } => {
                self.address = self.address.merged(&address);
                self.name = name.or(self.name.take());
            }
            ConversationEvent::MessageReceived { message, at, .. } => {
                if message.kind.is_speech() {
                    self.last_customer_message_at = self.last_customer_message_at.max(Some(message.sent_at.min(at)));
                }
            }
            ConversationEvent::MessageQueued { message_id, author, content, bulk_send_id, at, .. } => {
                self.remember(message_id, author, content, bulk_send_id.is_some(), at);
            }
            ConversationEvent::MessageSent { message_id, .. } => {
                self.advance(message_id, DeliveryStatus::Sent);
                if let Some(message) = self.outbound.iter_mut().find(|it| it.id == message_id) {
                    message.identified = true;
                }
            }
            ConversationEvent::MessageDelivered { message_id, .. } => {
                self.advance(message_id, DeliveryStatus::Delivered)
            }
            ConversationEvent::MessageRead { message_id, .. } => self.advance(message_id, DeliveryStatus::Read),
            ConversationEvent::MessageFailed { message_id, error, .. } => self.fail(message_id, &error),
            ConversationEvent::MessageFailedLate { message_id, .. } => {
                if let Some(message) = self.outbound.iter_mut().find(|it| it.id == message_id) {
                    message.failed_late = true;
                }
            }
            ConversationEvent::MessageRetried { message_id, retry, content, .. } => {
                self.begin_again(message_id, retry, content);
            }
            event @ (ConversationEvent::FlowRunStarted { .. }
            | ConversationEvent::FlowRunStepped { .. }
            | ConversationEvent::FlowRunWaiting { .. }
            | ConversationEvent::FlowRunEnded { .. }
            | ConversationEvent::LeadUpdateRequested { .. }) => self.apply_run(event),
            ConversationEvent::Claimed { by, .. } => self.change_hands(Some(by), false),
            ConversationEvent::Released { .. } => self.change_hands(None, self.closed),
            ConversationEvent::Closed { .. } => self.change_hands(None, true),
            ConversationEvent::Reopened { .. } => self.change_hands(self.claimed_by, false),
            ConversationEvent::ContactErased { .. } => {
                self.change_hands(None, true);
                self.erased = true;
                (self.address, self.name, self.run) = (Address::default(), None, None);
            }
        }
    }

    fn change_hands(&mut self, claimed_by: Option<UserId>, closed: bool) {
        (self.claimed_by, self.closed) = (claimed_by, closed);
        self.version += 1;
    }

    fn remember(&mut self, id: MessageId, author: Author, content: OutboundContent, is_bulk: bool, at: DateTime<Utc>) {
        if self.outbound.len() >= REMEMBERED_MESSAGES_MAX {
            self.outbound.remove(0);
        }
        if author == Author::Flow {
            self.said.retain(|(_, said_at)| at - *said_at < LOOP_WINDOW);
            self.said.push((fingerprint(&content), at));
            self.run_message = Some(id);
        }
        self.outbound.push(Outbound::queued(id, 0, is_bulk, content));
    }

    /// A new try begins where the first began; what the channel called the one before says nothing of it.
    fn begin_again(&mut self, id: MessageId, retry: u32, content: OutboundContent) {
        if let Some(message) = self.outbound.iter_mut().find(|it| it.id == id) {
            let refusals = std::mem::take(&mut message.refusals);
            *message = Outbound { refusals, ..Outbound::queued(id, retry, message.is_bulk, content) };
        }
    }

    fn fail(&mut self, id: MessageId, error: &ProviderError) {
        self.advance(id, DeliveryStatus::Failed);
        let Some(message) = self.outbound.iter_mut().find(|it| it.id == id) else { return };
        message.template_refused = error.class == ErrorClass::Template && message.template.is_some();
        if let Some(template) = message.template.as_ref().filter(|_| error.class == ErrorClass::Template) {
            let member = Member { name: template.name.clone(), language: template.language.clone() };
            message.refusals.push((member, error.code));
        }
    }

    fn advance(&mut self, id: MessageId, status: DeliveryStatus) {
        if let Some(message) = self.outbound.iter_mut().find(|it| it.id == id) {
            message.status = message.status.join(status);
        }
    }
}

/// FNV-1a over the content's JSON: equal for equal messages in every build.
fn fingerprint(content: &OutboundContent) -> u64 {
    let json = serde_json::to_vec(content).unwrap_or_default();
    json.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
