//! Sending once more what failed: one message, or the dead letters of a line or an account.

use domain::conversation::Conversation;
use domain::conversation::command::ConversationCommand;
use domain::conversation::event::ConversationEvent;
use domain::shared::content::OutboundContent;
use domain::shared::ids::{MessageId, StreamId, TenantId};

use crate::actor::{Cause, Session};
use crate::commands::{Along, Reached};
use crate::conversations::message_view::MessageView;
use crate::conversations::views::ConversationView;
use crate::error::{AppError, AppResult};
use crate::log::Document;
use crate::monitoring::Monitoring;
use crate::monitoring::ports::Whereabouts;
use crate::monitoring::views::{Batch, QueueState, Refused};

/// Dead letters one request looks at.
pub const BATCH_MAX: u32 = 500;

impl Monitoring {
    /// Sends a message that failed once more. True when the read models show it.
    ///
    /// # Errors
    /// There is no such message; it waits, is on its way, in doubt, or has arrived; or the window is closed.
    pub async fn retry(&self, session: &Session, message: MessageId) -> AppResult<bool> {
        let reached = self.again(session, message, &session.cause()).await?;
        Ok(match reached.position {
            Some(position) => self.catch_up.wait(&[ConversationView::NAME, MessageView::NAME], position).await,
            None => true,
        })
    }

    /// Sends dead letters once more, of a line or of the account, at most [`BATCH_MAX`]. What may not be sent again
    /// is counted by why, and stands behind the others next time.
    ///
    /// # Errors
    /// They cannot be read, or the database went away; what was sent again until then stays so.
    pub async fn retry_failed(&self, session: &Session, line: Option<&str>) -> AppResult<Batch> {
        let dead = self.deliveries.dead(session.tenant, line, BATCH_MAX).await?;
        // Each message is one command; a request that is sent again finds them under way.
        let cause = Cause { once: None, ..session.cause() };
        let mut batch = Batch { left: dead.total.saturating_sub(dead.messages.len() as u64), ..Batch::default() };
        let mut passed_over = Vec::new();
        for message in dead.messages {
            match self.again(session, message, &cause).await {
                Ok(_) => batch.retried += 1,
                Err(error) => {
                    batch.refuse(refusal(error)?);
                    passed_over.push(message);
                }
            }
        }
        self.deliveries.passed_over(session.tenant, &passed_over).await?;
        Ok(batch)
    }

    /// The state is read before the row of the queue: as long as nobody retried the message since, a message that
    /// failed has no row that could come to life.
    async fn again(&self, session: &Session, message: MessageId, cause: &Cause) -> AppResult<Reached> {
        let tenant = session.tenant;
        let found = self.deliveries.find(tenant, message).await?.ok_or(AppError::NotFound("message"))?;
        let stream = StreamId::new(tenant, found.conversation.0);
        let retries = retries(&self.commands.load(&stream).await?, message);
        let found = self.deliveries.find(tenant, message).await?.ok_or(AppError::NotFound("message"))?;
        not_under_way(&found)?;
        let content = self.content(tenant, &found, message).await?;
        let at = self.clock.now();
        let command = ConversationCommand::Retry { by: session.user, message_id: message, retries, content, at };
        Ok(self.commands.run(&stream, cause, command, Along::default()).await?)
    }

    async fn content(&self, tenant: TenantId, found: &Whereabouts, message: MessageId) -> AppResult<OutboundContent> {
        let history = self.deliveries.history(tenant, found.conversation, message).await?;
        let mut said = history.events.into_iter().filter_map(|recorded| match recorded.event {
            ConversationEvent::MessageQueued { content, .. } | ConversationEvent::MessageRetried { content, .. } => {
                Some(content)
            }
            _ => None,
        });
        said.next_back()
            .ok_or_else(|| refused("message_never_queued", "the message was held back: it was never queued"))
    }
}

fn retries(conversation: &Conversation, message: MessageId) -> u32 {
    let known = conversation.begun().ok().and_then(|begun| begun.outbound.iter().find(|it| it.id == message));
    known.map_or(0, |known| known.retry)
}

/// Whether nobody is about to send it, or has just sent it.
fn not_under_way(found: &Whereabouts) -> AppResult<()> {
    match found.row.as_ref().map(|row| row.state) {
        None | Some(QueueState::Dead) => Ok(()),
        Some(QueueState::Waiting) => Err(refused("message_waiting", "the message waits to be sent as it is")),
        Some(QueueState::Claimed | QueueState::InFlight) => {
            Err(refused("message_in_flight", "the message is on its way; its answer is awaited"))
        }
        Some(QueueState::InDoubt) => {
            let words = "nobody knows yet whether the message went out; it is settled by itself within minutes";
            Err(refused("message_in_doubt", words))
        }
    }
}

fn refused(code: &'static str, words: &str) -> AppError {
    AppError::Conflict { code, message: words.to_owned() }
}

/// The word of what one message is refused for; whatever stops the whole batch goes on.
fn refusal(error: AppError) -> AppResult<&'static str> {
    match error {
        AppError::Conflict { code, .. } => Ok(code),
        AppError::WindowClosed => Ok("window_closed"),
        AppError::NotFound(_) => Ok("not_found"),
        other => Err(other),
    }
}

impl Batch {
    fn refuse(&mut self, code: &str) {
        match self.refused.iter_mut().find(|it| it.code == code) {
            Some(known) => known.messages += 1,
            None => self.refused.push(Refused { code: code.to_owned(), messages: 1 }),
        }
    }
}
