//! What events lead to outside their stream. Effects are written by the append itself, so an event is never
//! without its effect, and never has it twice.

use chrono::{DateTime, Utc};
use domain::appointment::Appointment;
use domain::appointment::event::AppointmentEvent;
use domain::conversation::event::{Author, ConversationEvent};
use domain::conversation::{Conversation, Outbound};
use domain::decide::Decide;
use domain::flow::Flow;
use domain::flow::run::LeadChange;
use domain::lead::Lead;
use domain::personal::Personal;
use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ConversationId, MessageId, RunId, StreamId, TemplateGroupId, UserId};
use domain::shared::phone::Phone;
use domain::shared::provider_error::{ErrorClass, ProviderError};
use domain::template::Template;
use domain::template::event::TemplateEvent;
use domain::template_group::{Member, TemplateGroup};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The customer takes no marketing messages of the business (Meta, support/error-codes).
const NO_MARKETING: i64 = 131_050;

/// A message for the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// One message in flight, in order.
    pub lane: ConversationId,
    /// The sending line.
    pub bucket: String,
    /// The message.
    pub message_id: MessageId,
    /// Which try: 0 for the first, else the number of the retry.
    pub retry: u32,
    /// 0: a person or a flow in a conversation; 1: a broadcast, which yields to those.
    pub priority: i16,
    /// To whom.
    pub recipient: Address,
    /// What.
    pub content: OutboundContent,
}

/// Work for later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Work {
    /// Wake a waiting run.
    Timer { conversation: ConversationId, run_id: RunId, step: u32 },
    /// Change the lead of a contact.
    UpdateLead { phone: Phone, name: Option<String>, change: LeadChange },
    /// Take a template into the group it was submitted for.
    JoinGroup { group: TemplateGroupId, create_as: Option<String>, member: Member },
    /// Answer the refusal of a message's template.
    AnswerRefusal { conversation: ConversationId, message_id: MessageId, retry: u32, error: ProviderError },
    /// Remember that somebody wants no marketing.
    OptOut { phone: Phone, at: DateTime<Utc> },
    /// Release what somebody had claimed who was removed or deactivated; who did that, and what else it led to.
    ReleaseClaims { of: UserId, removed_by: UserId, correlation: Uuid },
    /// Deliver a letter, which is sealed: it holds a code and an address.
    Letter { sealed: String },
}

/// Something an event leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a message.
    Send(Box<Dispatch>),
    /// Do some work at a time.
    Later {
        /// What.
        work: Work,
        /// When.
        run_at: DateTime<Utc>,
        /// Newer work with the same key takes the place of older; without a key it stands alone.
        key: Option<String>,
    },
    /// Take a resource up for the stream's appointment, in place of what it took up before. When another one of the
    /// account takes it up at that time, nothing of the command is written.
    TakeUp {
        /// What.
        resource: String,
        /// From then on.
        from: DateTime<Utc>,
        /// Free again from then on.
        until: DateTime<Utc>,
    },
    /// Leave what the stream's appointment took up to others.
    LetGo,
}

/// Which effects an aggregate's events have.
pub trait Reacts: Decide + Personal {
    /// The effect of one event; `state` is the aggregate after the decision.
    fn effect(stream: &StreamId, state: &Self, event: &Self::Event) -> Option<Effect>;
}

impl Reacts for Flow {
    fn effect(_: &StreamId, _: &Self, _: &Self::Event) -> Option<Effect> {
        None
    }
}

impl Reacts for Lead {
    fn effect(_: &StreamId, _: &Self, _: &Self::Event) -> Option<Effect> {
        None
    }
}

impl Reacts for Appointment {
    /// While it is to come, an appointment takes its resource up.
    fn effect(_: &StreamId, state: &Self, event: &AppointmentEvent) -> Option<Effect> {
        match event {
            AppointmentEvent::Booked { .. } => take_up(state),
            AppointmentEvent::Rescheduled { .. } => Some(take_up(state).unwrap_or(Effect::LetGo)),
            AppointmentEvent::Cancelled { .. }
            | AppointmentEvent::Completed { .. }
            | AppointmentEvent::NoShow { .. } => Some(Effect::LetGo),
            AppointmentEvent::Confirmed { .. } | AppointmentEvent::ContactErased { .. } => None,
        }
    }
}

fn take_up(appointment: &Appointment) -> Option<Effect> {
    let known = appointment.known()?;
    let (from, until) = known.occupied();
    Some(Effect::TakeUp { resource: known.placement.resource_id.clone()?, from, until })
}

impl Reacts for TemplateGroup {
    fn effect(_: &StreamId, _: &Self, _: &Self::Event) -> Option<Effect> {
        None
    }
}

impl Reacts for Template {
    /// A template joins its group once Meta took it.
    fn effect(_: &StreamId, state: &Self, event: &TemplateEvent) -> Option<Effect> {
        let TemplateEvent::Accepted { at, .. } = event else { return None };
        let known = state.known()?;
        let target = known.target_group.clone()?;
        let member = Member { name: known.name.clone(), language: known.language.clone() };
        let work = Work::JoinGroup { group: target.id, create_as: target.create_as, member };
        Some(Effect::Later { work, run_at: *at, key: None })
    }
}

impl Reacts for Conversation {
    fn effect(stream: &StreamId, state: &Self, event: &ConversationEvent) -> Option<Effect> {
        let conversation = ConversationId(stream.id);
        match event {
            ConversationEvent::MessageQueued { message_id, author, bulk_send_id, content, line, to, .. } => {
                Some(Effect::Send(Box::new(Dispatch {
                    lane: conversation,
                    bucket: line.clone(),
                    message_id: *message_id,
                    retry: 0,
                    priority: i16::from(bulk_send_id.is_some() || *author == Author::System),
                    recipient: to.clone(),
                    content: content.clone(),
                })))
            }
            ConversationEvent::MessageRetried { message_id, retry, by, content, line, to, .. } => {
                let is_bulk = by.is_none() && sent(state, *message_id).is_some_and(|message| message.is_bulk);
                Some(Effect::Send(Box::new(Dispatch {
                    lane: conversation,
                    bucket: line.clone(),
                    message_id: *message_id,
                    retry: *retry,
                    priority: i16::from(is_bulk),
                    recipient: to.clone(),
                    content: content.clone(),
                })))
            }
            ConversationEvent::MessageFailed { message_id, error, at } if error.class == ErrorClass::Template => {
                let retry = sent(state, *message_id).filter(|message| message.template_refused)?.retry;
                let (message_id, error) = (*message_id, ProviderError { details: None, ..error.clone() });
                let work = Work::AnswerRefusal { conversation, message_id, retry, error };
                Some(Effect::Later { work, run_at: *at, key: None })
            }
            ConversationEvent::MessageFailed { error, at, .. } if error.code == NO_MARKETING => {
                let work = Work::OptOut { phone: state.begun().ok()?.address.phone.clone()?, at: *at };
                Some(Effect::Later { work, run_at: *at, key: None })
            }
            ConversationEvent::FlowRunWaiting { run_id, step, resume_at, .. } => Some(Effect::Later {
                work: Work::Timer { conversation, run_id: *run_id, step: *step },
                run_at: *resume_at,
                // One timer a conversation: only its newest wait can still be resumed.
                key: Some(format!("timer:{conversation}")),
            }),
            ConversationEvent::LeadUpdateRequested { change, at, .. } => {
                let begun = state.begun().ok()?;
                let work = Work::UpdateLead {
                    phone: begun.address.phone.clone()?,
                    name: begun.name.clone(),
                    change: change.clone(),
                };
                Some(Effect::Later { work, run_at: *at, key: None })
            }
            ConversationEvent::Started { .. }
            | ConversationEvent::ContactChanged { .. }
            | ConversationEvent::MessageReceived { .. }
            | ConversationEvent::MessageHeldBack { .. }
            | ConversationEvent::TemplateChosen { .. }
            | ConversationEvent::MessageSent { .. }
            | ConversationEvent::MessageDelivered { .. }
            | ConversationEvent::MessageRead { .. }
            | ConversationEvent::MessageFailed { .. }
            | ConversationEvent::MessageFailedLate { .. }
            | ConversationEvent::FlowRunStarted { .. }
            | ConversationEvent::FlowRunStepped { .. }
            | ConversationEvent::FlowRunEnded { .. }
            | ConversationEvent::HandoffRequested { .. }
            | ConversationEvent::Claimed { .. }
            | ConversationEvent::Released { .. }
            | ConversationEvent::Closed { .. }
            | ConversationEvent::Reopened { .. }
            | ConversationEvent::ContactErased { .. } => None,
        }
    }
}

fn sent(conversation: &Conversation, message: MessageId) -> Option<&Outbound> {
    conversation.begun().ok()?.outbound.iter().find(|it| it.id == message)
}
