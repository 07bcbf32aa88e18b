//! Who has a conversation: claim, release, close, reopen.

use chrono::{DateTime, Utc};

use crate::conversation::Begun;
use crate::conversation::command::Handling;
use crate::conversation::error::ConversationError;
use crate::conversation::event::ConversationEvent;
use crate::flow::run::Outcome;
use crate::shared::ids::UserId;

impl Begun {
    pub(super) fn handle(
        &self,
        handling: Handling,
        by: UserId,
        expected_version: Option<u32>,
        at: DateTime<Utc>,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        if self.is_so_already(handling, by) {
            return Ok(vec![]);
        }
        if expected_version.is_some_and(|expected| expected != self.version) {
            return Err(ConversationError::Stale(self.version));
        }
        match handling {
            Handling::Claim => {
                if let Some(other) = self.claimed_by {
                    return Err(ConversationError::ClaimedByAnother(other));
                }
                Ok(self.stop_run(at).into_iter().chain([ConversationEvent::Claimed { by, at }]).collect())
            }
            Handling::Release => match self.claimed_by {
                Some(other) if other != by => Err(ConversationError::ClaimedByAnother(other)),
                Some(_) | None => Ok(vec![ConversationEvent::Released { by, at }]),
            },
            Handling::Close => {
                Ok(self.stop_run(at).into_iter().chain([ConversationEvent::Closed { by, at }]).collect())
            }
            Handling::Reopen => Ok(vec![ConversationEvent::Reopened { by: Some(by), at }]),
        }
    }

    fn is_so_already(&self, handling: Handling, by: UserId) -> bool {
        match handling {
            Handling::Claim => self.claimed_by == Some(by),
            Handling::Release => self.claimed_by.is_none(),
            Handling::Close => self.closed,
            Handling::Reopen => !self.closed,
        }
    }

    pub(super) fn stop_run(&self, at: DateTime<Utc>) -> Option<ConversationEvent> {
        let run = self.run.as_ref()?;
        Some(ConversationEvent::FlowRunEnded { run_id: run.id, outcome: Outcome::Stopped, detail: None, at })
    }
}
