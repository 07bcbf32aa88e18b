//! What is shown of conversations.

use domain::conversation::Conversation;
use domain::conversation::event::ConversationEvent;
use domain::flow::run::Variables;
use domain::shared::channel::Address;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// Where a conversation stands: `active`, `handoff` (a flow asked for a person), `claimed` or `closed`.
pub const STATUSES: [&str; 4] = ["active", "handoff", "claimed", "closed"];

/// The flow that runs, or the last that ran.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct FlowRunView {
    /// The run.
    pub run_id: Uuid,
    /// The flow.
    pub flow_id: Uuid,
    /// The version it is pinned to.
    pub version: u32,
    /// The node it stands at.
    pub node_id: Option<String>,
    /// `running`, `waiting`, or how it ended: `completed`, `handed_off`, `failed`, `expired`, `superseded`, `looping`, `stopped`.
    pub status: String,
    /// Its variables, as an object.
    pub variables: Value,
}

/// How many messages came and went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MessageCounts {
    /// Received from the customer.
    pub received: u32,
    /// Queued to be sent.
    pub queued: u32,
    /// Accepted by the channel.
    pub sent: u32,
    /// Reached the customer.
    pub delivered: u32,
    /// Read by the customer.
    pub read: u32,
    /// Failed.
    pub failed: u32,
}

/// A conversation, as lists show it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ConversationView {
    /// Its id.
    pub id: Uuid,
    /// The contact.
    pub contact_id: Uuid,
    /// Where: `whatsapp`.
    pub channel: String,
    /// Our line: Meta's phone number id.
    pub phone_number_id: String,
    /// The customer's phone in E.164; absent for a customer known by a business-scoped user id alone.
    pub wa_phone_number: Option<String>,
    /// The customer's business-scoped user id, when there is one.
    pub wa_user_id: Option<String>,
    /// The customer's name.
    pub customer_name: Option<String>,
    /// The flow that runs, or the last that ran.
    pub flow_id: Option<Uuid>,
    /// `active`, `handoff` (a flow asked for a person), `claimed` or `closed`.
    pub status: String,
    /// What was said last.
    pub last_message: Option<String>,
    /// When it began.
    pub started_at: Stamp,
    /// When the customer last wrote; the 24-hour window counts from here.
    pub last_customer_message_at: Option<Stamp>,
    /// When anything last happened.
    pub last_activity_at: Stamp,
    /// The person who has it.
    pub claimed_by: Option<Uuid>,
    /// How often it changed hands; what `expectedVersion` is compared with.
    pub version: u32,
    /// Counts of its messages; in lists only with `stats=true`.
    pub stats: Option<MessageCounts>,
    /// The flow that runs; in details only.
    pub flow_run: Option<FlowRunView>,
}

impl Document for ConversationView {
    const NAME: &'static str = "conversation_view";
    type Aggregate = Conversation;

    fn key(recorded: &Recorded<ConversationEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<ConversationEvent>) -> bool {
        match &recorded.event {
            ConversationEvent::Started { contact_id, channel, line, address, name, at } => {
                *self = Self {
                    id: recorded.stream.id,
                    contact_id: contact_id.0,
                    channel: channel.to_string(),
                    phone_number_id: line.clone(),
                    status: "active".to_owned(),
                    started_at: Stamp(*at),
                    version: 1,
                    stats: Some(MessageCounts::default()),
                    ..Self::default()
                };
                self.meets(address, name.as_deref());
            }
            ConversationEvent::ContactChanged { address, name, .. } => self.meets(address, name.as_deref()),
            ConversationEvent::MessageReceived { message, at, .. } => {
                self.count(|counts| counts.received += 1);
                if message.kind.is_speech() {
                    self.last_message = message.text.clone().or_else(|| Some(message.kind.to_string()));
                    let said = Stamp(message.sent_at.min(*at));
                    self.last_customer_message_at = self.last_customer_message_at.max(Some(said));
                }
            }
            ConversationEvent::MessageQueued { content, .. } => {
                self.count(|counts| counts.queued += 1);
                let said = content.preview().filter(|text| !text.is_empty());
                self.last_message = said.or_else(|| Some(content.kind().to_owned()));
            }
            ConversationEvent::MessageSent { .. } => self.count(|counts| counts.sent += 1),
            ConversationEvent::MessageDelivered { .. } => self.count(|counts| counts.delivered += 1),
            ConversationEvent::MessageRead { .. } => self.count(|counts| counts.read += 1),
            // Held back: it stands as failed among the messages too.
            ConversationEvent::MessageFailed { .. } | ConversationEvent::MessageHeldBack { .. } => {
                self.count(|counts| counts.failed += 1);
            }
            // A new try of a message that is counted already.
            ConversationEvent::MessageRetried { .. }
            | ConversationEvent::MessageFailedLate { .. }
            | ConversationEvent::TemplateChosen { .. } => {}
            ConversationEvent::FlowRunStarted { .. }
            | ConversationEvent::FlowRunStepped { .. }
            | ConversationEvent::FlowRunWaiting { .. }
            | ConversationEvent::FlowRunEnded { .. }
            | ConversationEvent::LeadUpdateRequested { .. } => self.follow_run(&recorded.event),
            ConversationEvent::HandoffRequested { .. } => self.status = "handoff".to_owned(),
            ConversationEvent::Claimed { by, .. } => self.change_hands(Some(by.0), false),
            ConversationEvent::Released { .. } => self.change_hands(None, self.status == "closed"),
            ConversationEvent::Closed { .. } => self.change_hands(None, true),
            ConversationEvent::Reopened { .. } => self.change_hands(self.claimed_by, false),
            ConversationEvent::ContactErased { .. } => {
                self.change_hands(None, true);
                (self.wa_phone_number, self.wa_user_id) = (None, None);
                (self.customer_name, self.last_message) = (None, None);
                if let Some(run) = &mut self.flow_run {
                    run.variables = Value::Object(Variables::new());
                }
            }
        }
        self.last_activity_at = self.last_activity_at.max(Stamp(recorded.event.at()));
        true
    }
}

impl ConversationView {
    fn count(&mut self, one: impl FnOnce(&mut MessageCounts)) {
        one(self.stats.get_or_insert_default());
    }

    fn meets(&mut self, address: &Address, name: Option<&str>) {
        self.wa_phone_number = address.phone.as_ref().map(ToString::to_string).or(self.wa_phone_number.take());
        self.wa_user_id = address.user_id.clone().or(self.wa_user_id.take());
        self.customer_name = name.map(str::to_owned).or(self.customer_name.take());
    }

    fn change_hands(&mut self, claimed_by: Option<Uuid>, closed: bool) {
        self.claimed_by = claimed_by;
        self.version += 1;
        let word = match claimed_by {
            _ if closed => "closed",
            Some(_) => "claimed",
            None => "active",
        };
        self.status = word.to_owned();
    }

    fn follow_run(&mut self, event: &ConversationEvent) {
        if let ConversationEvent::FlowRunStarted { run_id, flow_id, version, node, variables, .. } = event {
            self.flow_id = Some(flow_id.0);
            self.flow_run = Some(FlowRunView {
                run_id: run_id.0,
                flow_id: flow_id.0,
                version: *version,
                node_id: Some(node.to_string()),
                status: "running".to_owned(),
                variables: Value::Object(variables.clone()),
            });
        }
        let Some(run) = &mut self.flow_run else { return };
        match event {
            ConversationEvent::FlowRunStepped { path, set, .. } => {
                run.status = "running".to_owned();
                if let Value::Object(known) = &mut run.variables {
                    known.extend(set.clone());
                }
                run.node_id = path.last().map(|visit| visit.node.to_string()).or(run.node_id.take());
            }
            ConversationEvent::FlowRunWaiting { node, .. } => {
                (run.status, run.node_id) = ("waiting".to_owned(), Some(node.to_string()));
            }
            ConversationEvent::FlowRunEnded { outcome, .. } => run.status = outcome.to_string(),
            _ => {}
        }
    }
}
