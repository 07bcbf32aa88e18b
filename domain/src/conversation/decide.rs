//! What a conversation agrees to: dispatch, and the draft that several events of one decision share.

use cqrs_es::Aggregate as _;

use crate::conversation::command::{ConversationCommand, Participants};
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::conversation::{Begun, Conversation};
use crate::decide::Decide;
use crate::shared::content::OutboundContent;
use crate::shared::ids::UserId;

impl Decide for Conversation {
    fn decide(&self, command: ConversationCommand) -> Result<Vec<ConversationEvent>, ConversationError> {
        if self.0.as_ref().is_some_and(|begun| begun.erased) {
            return match command {
                // News of what was sent before finds nothing to change.
                ConversationCommand::Timer { .. }
                | ConversationCommand::Delivery { .. }
                | ConversationCommand::FallBack { .. }
                | ConversationCommand::Erase { .. } => Ok(vec![]),
                ConversationCommand::Receive { .. }
                | ConversationCommand::StartRun { .. }
                | ConversationCommand::SendTemplate { .. }
                | ConversationCommand::Reply { .. }
                | ConversationCommand::Retry { .. }
                | ConversationCommand::Handle { .. }
                | ConversationCommand::ChangeAddress { .. } => Err(ConversationError::ContactErased),
            };
        }
        match command {
            ConversationCommand::Receive { participants, message, around } => {
                self.receive(participants, message, &around)
            }
            ConversationCommand::StartRun { participants, request, around } => {
                self.start_run(participants, *request, &around)
            }
            ConversationCommand::Timer { run_id, step, around } => self.fire_timer(run_id, step, &around),
            ConversationCommand::Delivery { news, around } => self.record_delivery(news, &around),
            ConversationCommand::SendTemplate { participants, content, bulk_send_id, around } => {
                self.send_template(participants, content, bulk_send_id, &around)
            }
            ConversationCommand::FallBack { message_id, retry, choice, around } => {
                self.fall_back(message_id, retry, choice, &around)
            }
            ConversationCommand::Reply { by, message_id, content, at } => {
                self.begun()?.reply(by, message_id, content, at)
            }
            ConversationCommand::Retry { by, message_id, retries, content, at } => {
                self.begun()?.retry(by, message_id, retries, content, at)
            }
            ConversationCommand::Handle { handling, by, expected_version, at } => {
                self.begun()?.handle(handling, by, expected_version, at)
            }
            ConversationCommand::Erase { at } => {
                let stopped = self.begun()?.stop_run(at);
                Ok(stopped.into_iter().chain([ConversationEvent::ContactErased { at }]).collect())
            }
            ConversationCommand::ChangeAddress { address, at } => {
                let begun = self.begun()?;
                let news = begun.address.merged(&address) != begun.address;
                Ok(news.then_some(ConversationEvent::ContactChanged { address, name: None, at }).into_iter().collect())
            }
        }
    }
}

/// A decision in the making: its events, and the state with them applied.
pub(super) struct Draft {
    pub(super) state: Conversation,
    pub(super) events: Vec<ConversationEvent>,
}

impl Draft {
    pub(super) fn of(state: &Conversation) -> Self {
        Self { state: state.clone(), events: Vec::new() }
    }

    pub(super) fn emit(&mut self, event: ConversationEvent) {
        self.state.apply(event.clone());
        self.events.push(event);
    }

    pub(super) fn begun(&self) -> Result<&Begun, ConversationError> {
        self.state.begun()
    }

    /// Starts the conversation, or takes in what is new about the contact.
    pub(super) fn meet(&mut self, participants: Participants, at: chrono::DateTime<chrono::Utc>) {
        let Participants { contact_id, channel, line, address, name } = participants;
        match &self.state.0 {
            None => self.emit(ConversationEvent::Started { contact_id, channel, line, address, name, at }),
            Some(begun) => {
                let news = begun.address.merged(&address) != begun.address || (name.is_some() && name != begun.name);
                if news {
                    self.emit(ConversationEvent::ContactChanged { address, name, at });
                }
            }
        }
    }
}

impl Begun {
    fn reply(
        &self,
        by: UserId,
        message_id: crate::shared::ids::MessageId,
        content: OutboundContent,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        if let Some(other) = self.claimed_by.filter(|owner| *owner != by) {
            return Err(ConversationError::ClaimedByAnother(other));
        }
        if !content.needs_no_window() && !self.window_open(at) {
            return Err(ConversationError::WindowClosed);
        }
        Ok(vec![ConversationEvent::MessageQueued {
            message_id,
            author: crate::conversation::event::Author::User,
            user_id: Some(by),
            run_id: None,
            bulk_send_id: None,
            content,
            line: self.line.clone(),
            to: self.address.clone(),
            at,
        }])
    }
}
