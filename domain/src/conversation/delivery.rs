//! What becomes of our messages: a lattice per message, and the run that may wait for it.

use crate::conversation::Conversation;
use crate::conversation::command::{DeliveryNews, Surroundings};
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::flow::engine::Input;
use crate::flow::run::WaitFor;
use crate::shared::delivery::DeliveryStatus;
use crate::shared::provider_error::{ErrorClass, ProviderError};

impl Conversation {
    pub(super) fn record_delivery(
        &self,
        news: DeliveryNews,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let begun = self.begun()?;
        let Some(known) = begun.outbound.iter().find(|it| it.id == news.message_id) else {
            return Ok(vec![]);
        };
        let DeliveryNews { message_id, status, provider_message_id, error, possible_duplicate, at } = news;
        let mut draft = Draft::of(self);
        if let Some(provider_message_id) = provider_message_id.filter(|_| !known.identified) {
            draft.emit(ConversationEvent::MessageSent { message_id, provider_message_id, possible_duplicate, at });
        }
        if known.status.advances_to(status) {
            match status {
                DeliveryStatus::Queued | DeliveryStatus::Sent => {}
                DeliveryStatus::Delivered => draft.emit(ConversationEvent::MessageDelivered { message_id, at }),
                DeliveryStatus::Read => draft.emit(ConversationEvent::MessageRead { message_id, at }),
                DeliveryStatus::Failed => {
                    let error = error.unwrap_or_else(unexplained);
                    draft.emit(ConversationEvent::MessageFailed { message_id, error, at });
                }
            }
        }
        let awaited = begun.run_message == Some(message_id)
            && begun
                .run
                .as_ref()
                .and_then(|run| run.wait.as_ref())
                .is_some_and(|wait| wait.wait_for == WaitFor::Delivery);
        if awaited && !draft.events.is_empty() {
            draft.advance_run(&Input::Delivery(status != DeliveryStatus::Failed), None, around)?;
        }
        Ok(draft.events)
    }
}

fn unexplained() -> ProviderError {
    ProviderError { code: 0, class: ErrorClass::Request, title: "the channel gave no reason".into(), details: None }
}
