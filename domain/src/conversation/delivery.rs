//! What becomes of our messages: a lattice per message, and the run that may wait for it.

use crate::conversation::command::{DeliveryNews, Surroundings};
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::conversation::{Conversation, Outbound};
use crate::flow::engine::Input;
use crate::shared::delivery::DeliveryStatus;
use crate::shared::provider_error::{ErrorClass, ProviderError};

impl Conversation {
    pub(super) fn record_delivery(
        &self,
        news: DeliveryNews,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let mut draft = Draft::of(self);
        let (accepted, message_id) = (news.status != DeliveryStatus::Failed, news.message_id);
        // While another template is looked for, nothing is refused for good.
        if draft.learn(news)? && !draft.begun()?.outbound.iter().any(|it| it.id == message_id && it.falls_back()) {
            draft.advance_run(&Input::Delivery(accepted), None, around)?;
        }
        Ok(draft.events)
    }
}

impl Draft {
    /// Takes in what is new of a message it knows; true when the run waits for just that.
    pub(super) fn learn(&mut self, news: DeliveryNews) -> Result<bool, ConversationError> {
        let (begun, before) = (self.begun()?, self.events.len());
        let Some(known) = begun.outbound.iter().find(|it| it.id == news.message_id).cloned() else {
            return Ok(false);
        };
        if is_of_former_try(&news, &known) {
            return Ok(self.learn_late(&news, &known));
        }
        let awaited = begun.awaits_delivery_of(news.message_id);
        let DeliveryNews { message_id, status, provider_message_id, error, possible_duplicate, retry: _, at } = news;
        if let Some(provider_message_id) = provider_message_id.filter(|_| !known.identified) {
            self.emit(ConversationEvent::MessageSent { message_id, provider_message_id, possible_duplicate, at });
        }
        let arrived = matches!(known.status, DeliveryStatus::Delivered | DeliveryStatus::Read);
        if status == DeliveryStatus::Failed && arrived {
            if !known.failed_late {
                let error = error.unwrap_or_else(unexplained);
                self.emit(ConversationEvent::MessageFailedLate { message_id, error, at });
            }
        } else if known.status.advances_to(status) {
            match status {
                DeliveryStatus::Queued | DeliveryStatus::Sent => {}
                DeliveryStatus::Delivered => self.emit(ConversationEvent::MessageDelivered { message_id, at }),
                DeliveryStatus::Read => self.emit(ConversationEvent::MessageRead { message_id, at }),
                DeliveryStatus::Failed => {
                    let error = error.unwrap_or_else(unexplained);
                    self.emit(ConversationEvent::MessageFailed { message_id, error, at });
                }
            }
        }
        Ok(awaited && self.events.len() > before)
    }

    /// Of a try that was given up, only that it arrived after all is news: its failure, told late, is not the new
    /// try's.
    fn learn_late(&mut self, news: &DeliveryNews, known: &Outbound) -> bool {
        let (message_id, at) = (news.message_id, news.at);
        match news.status {
            DeliveryStatus::Delivered if known.status.advances_to(DeliveryStatus::Delivered) => {
                self.emit(ConversationEvent::MessageDelivered { message_id, at });
            }
            DeliveryStatus::Read if known.status.advances_to(DeliveryStatus::Read) => {
                self.emit(ConversationEvent::MessageRead { message_id, at });
            }
            DeliveryStatus::Queued
            | DeliveryStatus::Sent
            | DeliveryStatus::Failed
            | DeliveryStatus::Delivered
            | DeliveryStatus::Read => {}
        }
        false
    }
}

fn is_of_former_try(news: &DeliveryNews, known: &Outbound) -> bool {
    news.retry < known.retry
}

fn unexplained() -> ProviderError {
    ProviderError { code: 0, class: ErrorClass::Request, title: "the channel gave no reason".into(), details: None }
}
