//! Sending a message that failed once more: the same message, a new try, by a person.

use chrono::{DateTime, Utc};

use crate::conversation::Begun;
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::shared::content::OutboundContent;
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{MessageId, UserId};

impl Begun {
    /// A message that failed, for good as far as the channel says, goes out again. Nothing else does: what waits
    /// is sent anyway, and what was taken by the channel would arrive twice.
    pub(super) fn retry(
        &self,
        by: UserId,
        message_id: MessageId,
        retries: u32,
        content: OutboundContent,
        at: DateTime<Utc>,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let known = self.outbound.iter().find(|it| it.id == message_id).ok_or(ConversationError::MessageForgotten)?;
        if known.status != DeliveryStatus::Failed {
            return Err(ConversationError::MessageNotFailed(known.status));
        }
        if known.retry != retries {
            return Err(ConversationError::MessageRetriedMeanwhile);
        }
        if !content.needs_no_window() && !self.window_open(at) {
            return Err(ConversationError::WindowClosed);
        }
        Ok(vec![ConversationEvent::MessageRetried {
            message_id,
            retry: retries + 1,
            by: Some(by),
            content,
            line: self.line.clone(),
            to: self.address.clone(),
            at,
        }])
    }
}
