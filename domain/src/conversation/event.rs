//! What happened in a conversation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::conversation::template_choice::TemplateChoice;
use crate::decide::event_tags;
use crate::flow::graph::NodeId;
use crate::flow::run::{Handoff, LeadChange, Outcome, Scopes, Variables, Visit, Wait};
use crate::shared::channel::{Address, Channel};
use crate::shared::content::OutboundContent;
use crate::shared::ids::{BulkSendId, ContactId, FlowId, MessageId, RunId, UserId};
use crate::shared::inbound::InboundMessage;
use crate::shared::provider_error::ProviderError;

string_enum! {
    /// Who wrote a message.
    Author { Customer = "customer", Flow = "flow", User = "user", System = "system" }
}

string_enum! {
    /// What started a run.
    TriggerKind { Message = "message", Outbound = "outbound", LeadApi = "lead_api", Api = "api" }
}

string_enum! {
    /// Why a message a flow wanted was not sent.
    HeldBackReason {
        /// More than 24 hours since the customer's last message, and no template.
        WindowClosed = "window_closed",
        /// The same message 20 times in five minutes.
        Looping = "looping",
        /// No template of those asked for may be sent.
        TemplateUnavailable = "template_unavailable",
    }
}

/// What moved a run, as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum RunInput {
    /// It started.
    Start,
    /// The customer's message with this id.
    Reply { message_id: MessageId },
    /// Its deadline passed.
    Timeout,
    /// The channel accepted or refused the message it waited for.
    Delivery { accepted: bool },
}

/// A fact about a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ConversationEvent {
    /// A contact and a line met for the first time.
    Started {
        contact_id: ContactId,
        channel: Channel,
        line: String,
        address: Address,
        name: Option<String>,
        at: DateTime<Utc>,
    },
    /// The contact goes by another name, phone or channel id.
    ContactChanged { address: Address, name: Option<String>, at: DateTime<Utc> },
    /// The customer wrote.
    MessageReceived { message_id: MessageId, message: InboundMessage, at: DateTime<Utc> },
    /// A message is to be sent. `bulk_send_id`: as one of many, which yield to conversations.
    MessageQueued {
        message_id: MessageId,
        author: Author,
        user_id: Option<UserId>,
        run_id: Option<RunId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bulk_send_id: Option<BulkSendId>,
        content: OutboundContent,
        line: String,
        to: Address,
        at: DateTime<Utc>,
    },
    /// A message a flow wanted was not queued.
    MessageHeldBack {
        message_id: MessageId,
        run_id: RunId,
        content: OutboundContent,
        reason: HeldBackReason,
        at: DateTime<Utc>,
    },
    /// Which template a message goes out with, or that there is none, and why. `retry`: the try it is for; `refusal`: the
    /// code the channel refused the one before with.
    TemplateChosen {
        message_id: MessageId,
        retry: u32,
        choice: TemplateChoice,
        refusal: Option<i64>,
        at: DateTime<Utc>,
    },
    /// The channel accepted it. `possible_duplicate`: it was sent twice because the first try stayed in doubt.
    MessageSent { message_id: MessageId, provider_message_id: String, possible_duplicate: bool, at: DateTime<Utc> },
    /// It reached the customer's device.
    MessageDelivered { message_id: MessageId, at: DateTime<Utc> },
    /// The customer read it.
    MessageRead { message_id: MessageId, at: DateTime<Utc> },
    /// It will not arrive.
    MessageFailed { message_id: MessageId, error: ProviderError, at: DateTime<Utc> },
    /// The channel called it failed after it had called it delivered or read. It did arrive: this changes nothing.
    MessageFailedLate { message_id: MessageId, error: ProviderError, at: DateTime<Utc> },
    /// It had failed and is to be sent once more, by a person's wish or with another template. `retry`: how often that
    /// was done, this time included.
    MessageRetried {
        message_id: MessageId,
        retry: u32,
        by: Option<UserId>,
        content: OutboundContent,
        line: String,
        to: Address,
        at: DateTime<Utc>,
    },
    /// A flow began to run.
    FlowRunStarted {
        run_id: RunId,
        flow_id: FlowId,
        version: u32,
        trigger: TriggerKind,
        node: NodeId,
        scopes: Scopes,
        variables: Variables,
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// One unit of work: what came in, where it went, what it set. `lead` is what was read of the lead, when it had changed.
    FlowRunStepped {
        run_id: RunId,
        unit: u32,
        input: RunInput,
        path: Vec<Visit>,
        set: Variables,
        lead: Option<serde_json::Value>,
        warnings: Vec<String>,
        at: DateTime<Utc>,
    },
    /// The run waits. `resume_at`: the moment its timer fires, the run's own expiry included.
    FlowRunWaiting { run_id: RunId, step: u32, node: NodeId, wait: Wait, resume_at: DateTime<Utc>, at: DateTime<Utc> },
    /// The run is over.
    FlowRunEnded { run_id: RunId, outcome: Outcome, detail: Option<String>, at: DateTime<Utc> },
    /// A flow wants the contact's lead changed.
    LeadUpdateRequested { run_id: RunId, change: LeadChange, at: DateTime<Utc> },
    /// A flow wants a person.
    HandoffRequested { run_id: RunId, handoff: Handoff, at: DateTime<Utc> },
    /// A person took it over.
    Claimed { by: UserId, at: DateTime<Utc> },
    /// The person gave it back.
    Released { by: UserId, at: DateTime<Utc> },
    /// It is done.
    Closed { by: UserId, at: DateTime<Utc> },
    /// It goes on; by itself when the customer wrote again.
    Reopened { by: Option<UserId>, at: DateTime<Utc> },
    /// The contact asked to be forgotten: what the log held of them cannot be read any more.
    ContactErased { at: DateTime<Utc> },
}

event_tags!(ConversationEvent {
    Started = "conversation.started",
    ContactChanged = "conversation.contact_changed",
    MessageReceived = "conversation.message_received",
    MessageQueued = "conversation.message_queued",
    MessageHeldBack = "conversation.message_held_back",
    TemplateChosen = "conversation.template_chosen",
    MessageSent = "conversation.message_sent",
    MessageDelivered = "conversation.message_delivered",
    MessageRead = "conversation.message_read",
    MessageFailed = "conversation.message_failed",
    MessageFailedLate = "conversation.message_failed_late",
    MessageRetried = "conversation.message_retried",
    FlowRunStarted = "conversation.flow_run_started",
    FlowRunStepped = "conversation.flow_run_stepped",
    FlowRunWaiting = "conversation.flow_run_waiting",
    FlowRunEnded = "conversation.flow_run_ended",
    LeadUpdateRequested = "conversation.lead_update_requested",
    HandoffRequested = "conversation.handoff_requested",
    Claimed = "conversation.claimed",
    Released = "conversation.released",
    Closed = "conversation.closed",
    Reopened = "conversation.reopened",
    ContactErased = "conversation.contact_erased",
});

impl ConversationEvent {
    /// When it happened.
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Started { at, .. }
            | Self::ContactChanged { at, .. }
            | Self::MessageReceived { at, .. }
            | Self::MessageQueued { at, .. }
            | Self::MessageHeldBack { at, .. }
            | Self::TemplateChosen { at, .. }
            | Self::MessageSent { at, .. }
            | Self::MessageDelivered { at, .. }
            | Self::MessageRead { at, .. }
            | Self::MessageFailed { at, .. }
            | Self::MessageFailedLate { at, .. }
            | Self::MessageRetried { at, .. }
            | Self::FlowRunStarted { at, .. }
            | Self::FlowRunStepped { at, .. }
            | Self::FlowRunWaiting { at, .. }
            | Self::FlowRunEnded { at, .. }
            | Self::LeadUpdateRequested { at, .. }
            | Self::HandoffRequested { at, .. }
            | Self::Claimed { at, .. }
            | Self::Released { at, .. }
            | Self::Closed { at, .. }
            | Self::Reopened { at, .. }
            | Self::ContactErased { at } => *at,
        }
    }
}
