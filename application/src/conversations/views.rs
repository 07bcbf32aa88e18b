//! What is shown of conversations.

use domain::conversation::Conversation;
use domain::conversation::event::ConversationEvent;
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
        let at = match &recorded.event {
            ConversationEvent::Started { contact_id, channel, line, address, name, at } => {
                self.id = recorded.stream.id;
                self.contact_id = contact_id.0;
                self.channel = channel.to_string();
                self.phone_number_id.clone_from(line);
                self.wa_phone_number = address.phone.as_ref().map(ToString::to_string);
                self.wa_user_id.clone_from(&address.user_id);
                self.customer_name.clone_from(name);
                self.status = "active".to_owned();
                self.started_at = Stamp(*at);
                self.version = 1;
                self.stats = Some(MessageCounts::default());
                at
            }
            ConversationEvent::ContactChanged { address, name, at } => {
                if let Some(phone) = &address.phone {
                    self.wa_phone_number = Some(phone.to_string());
                }
                self.wa_user_id = address.user_id.clone().or(self.wa_user_id.take());
                self.customer_name = name.clone().or(self.customer_name.take());
                at
            }
            ConversationEvent::MessageReceived { message, at, .. } => {
                self.count(|counts| counts.received += 1);
                if message.kind.is_speech() {
                    self.last_message = message.text.clone().or_else(|| Some(message.kind.to_string()));
                    let said = Stamp(message.sent_at.min(*at));
                    self.last_customer_message_at = self.last_customer_message_at.max(Some(said));
                }
                at
            }
            ConversationEvent::MessageQueued { content, at, .. } => {
                self.count(|counts| counts.queued += 1);
                self.last_message = content.preview().or_else(|| Some(content.kind().to_owned()));
                at
            }
            ConversationEvent::MessageSent { at, .. } => {
                self.count(|counts| counts.sent += 1);
                at
            }
            ConversationEvent::MessageDelivered { at, .. } => {
                self.count(|counts| counts.delivered += 1);
                at
            }
            ConversationEvent::MessageRead { at, .. } => {
                self.count(|counts| counts.read += 1);
                at
            }
            // Held back: it stands as failed among the messages too.
            ConversationEvent::MessageFailed { at, .. } | ConversationEvent::MessageHeldBack { at, .. } => {
                self.count(|counts| counts.failed += 1);
                at
            }
            ConversationEvent::FlowRunStarted { at, .. }
            | ConversationEvent::FlowRunStepped { at, .. }
            | ConversationEvent::FlowRunWaiting { at, .. }
            | ConversationEvent::FlowRunEnded { at, .. }
            | ConversationEvent::LeadUpdateRequested { at, .. } => {
                self.follow_run(&recorded.event);
                at
            }
            ConversationEvent::HandoffRequested { at, .. } => self.stands("handoff", at),
            ConversationEvent::Claimed { by, at } => {
                self.claimed_by = Some(by.0);
                self.version += 1;
                self.stands("claimed", at)
            }
            ConversationEvent::Released { at, .. } => {
                self.claimed_by = None;
                self.version += 1;
                let closed = self.status == "closed";
                if closed { at } else { self.stands("active", at) }
            }
            ConversationEvent::Closed { at, .. } => {
                self.claimed_by = None;
                self.version += 1;
                self.stands("closed", at)
            }
            ConversationEvent::Reopened { at, .. } => {
                self.version += 1;
                let word = if self.claimed_by.is_some() { "claimed" } else { "active" };
                self.stands(word, at)
            }
        };
        self.last_activity_at = self.last_activity_at.max(Stamp(*at));
        true
    }
}

impl ConversationView {
    fn count(&mut self, one: impl FnOnce(&mut MessageCounts)) {
        one(self.stats.get_or_insert_default());
    }

    fn stands<'a, T>(&mut self, status: &str, at: &'a T) -> &'a T {
        self.status = status.to_owned();
        at
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
