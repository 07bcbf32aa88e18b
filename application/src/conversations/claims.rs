//! Claims of people who are there no more, or may not sign in. Their conversations are free again: others take them,
//! and flows answer.

use std::sync::Arc;

use async_trait::async_trait;
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, Handling};
use domain::conversation::error::ConversationError;
use domain::shared::ids::{ConversationId, StreamId, TenantId, UserId};

use crate::actor::Cause;
use crate::commands::{Along, CommandError, Commands};
use crate::error::AppResult;
use crate::time::Clock;

/// Finds claims.
#[async_trait]
pub trait ClaimReader: Send + Sync {
    /// What a person holds, as the log says: no read model that lags or stands still hides any.
    async fn held_by(&self, tenant: TenantId, person: UserId) -> AppResult<Vec<ConversationId>>;
}

/// Releases claims.
pub struct Claims {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Conversation>>,
    /// Finds them.
    pub reader: Arc<dyn ClaimReader>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Claims {
    /// Releases everything a person holds. Done again, it releases what is left.
    ///
    /// # Errors
    /// Not everything is released.
    pub async fn release_all(&self, tenant: TenantId, of: UserId, cause: &Cause) -> AppResult<()> {
        for conversation in self.reader.held_by(tenant, of).await? {
            let command = ConversationCommand::Handle {
                handling: Handling::Release,
                by: of,
                expected_version: None,
                at: self.clock.now(),
            };
            let stream = StreamId::new(tenant, conversation.0);
            match self.commands.run(&stream, cause, command, Along::default()).await {
                Ok(_)
                // Somebody else has it by now, or nobody ever will.
                | Err(CommandError::Rule(ConversationError::ClaimedByAnother(_) | ConversationError::ContactErased)
                | CommandError::ContactErased) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
