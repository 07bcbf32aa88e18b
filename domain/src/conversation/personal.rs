//! What of a conversation is about the person: everything said, and how the contact is reached. What happened when,
//! by which flow and with what outcome is not.

use crate::conversation::Conversation;
use crate::conversation::event::ConversationEvent as Event;
use crate::flow::run::{Handoff, LeadChange, Scopes, Variables};
use crate::personal::Personal;
use crate::shared::channel::Address;
use crate::shared::ids::ContactId;
use crate::shared::inbound::InboundMessage;
use crate::shared::provider_error::ProviderError;

impl Personal for Conversation {
    fn contact(&self) -> Option<ContactId> {
        self.0.as_ref().map(|begun| begun.contact_id)
    }

    fn without_person(event: &Event) -> Option<Event> {
        Some(match event.clone() {
            Event::Started { contact_id, channel, line, at, .. } => {
                Event::Started { contact_id, channel, line, address: Address::default(), name: None, at }
            }
            Event::ContactChanged { at, .. } => Event::ContactChanged { address: Address::default(), name: None, at },
            Event::MessageReceived { message_id, message, at } => {
                Event::MessageReceived { message_id, message: without_words(&message), at }
            }
            Event::MessageQueued { message_id, author, user_id, run_id, bulk_send_id, content, line, at, .. } => {
                let (content, to) = (content.without_words(), Address::default());
                Event::MessageQueued { message_id, author, user_id, run_id, bulk_send_id, content, line, to, at }
            }
            Event::MessageHeldBack { message_id, run_id, content, reason, at } => {
                Event::MessageHeldBack { message_id, run_id, content: content.without_words(), reason, at }
            }
            // A wamid holds the customer's phone, in base64.
            Event::MessageSent { message_id, possible_duplicate, at, .. } => {
                Event::MessageSent { message_id, provider_message_id: String::new(), possible_duplicate, at }
            }
            Event::MessageFailed { message_id, error, at } => {
                Event::MessageFailed { message_id, error: ProviderError { details: None, ..error }, at }
            }
            Event::MessageFailedLate { message_id, error, at } => {
                Event::MessageFailedLate { message_id, error: ProviderError { details: None, ..error }, at }
            }
            Event::MessageRetried { message_id, retry, by, content, line, at, .. } => {
                let (content, to) = (content.without_words(), Address::default());
                Event::MessageRetried { message_id, retry, by, content, line, to, at }
            }
            Event::FlowRunStarted { run_id, flow_id, version, trigger, node, expires_at, at, .. } => {
                let (scopes, variables) = (Scopes::default(), Variables::new());
                Event::FlowRunStarted { run_id, flow_id, version, trigger, node, scopes, variables, expires_at, at }
            }
            Event::FlowRunStepped { run_id, unit, input, path, at, .. } => {
                let (set, lead, warnings) = (Variables::new(), None, Vec::new());
                Event::FlowRunStepped { run_id, unit, input, path, set, lead, warnings, at }
            }
            Event::FlowRunEnded { run_id, outcome, at, detail: Some(_) } => {
                Event::FlowRunEnded { run_id, outcome, detail: None, at }
            }
            Event::LeadUpdateRequested { run_id, at, .. } => {
                Event::LeadUpdateRequested { run_id, change: LeadChange::default(), at }
            }
            Event::HandoffRequested { run_id, handoff, at } => {
                Event::HandoffRequested { run_id, handoff: Handoff { note: None, ..handoff }, at }
            }
            Event::TemplateChosen { .. }
            | Event::MessageDelivered { .. }
            | Event::MessageRead { .. }
            | Event::FlowRunWaiting { .. }
            | Event::FlowRunEnded { detail: None, .. }
            | Event::Claimed { .. }
            | Event::Released { .. }
            | Event::Closed { .. }
            | Event::Reopened { .. }
            | Event::ContactErased { .. } => return None,
        })
    }
}

/// That the customer wrote, what kind of message and when.
fn without_words(message: &InboundMessage) -> InboundMessage {
    InboundMessage {
        provider_message_id: String::new(),
        kind: message.kind,
        text: None,
        choice: None,
        media: None,
        location: None,
        refers_to: None,
        raw: None,
        sent_at: message.sent_at,
    }
}
