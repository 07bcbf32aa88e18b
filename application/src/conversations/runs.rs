//! Decisions that may move a run: what they look into, and the version they may ask for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::conversation::Conversation;
use domain::conversation::command::{ConversationCommand, DeliveryNews, Library, Surroundings};
use domain::conversation::error::ConversationError;
use domain::conversation::template_choice::TemplateChoices;
use domain::lead::Lead;
use domain::shared::ids::{ConversationId, RunId, StreamId, TenantId};
use domain::shared::phone::Phone;
use serde_json::Value;

use crate::actor::Cause;
use crate::commands::{Along, CommandError, Commands, Reached};
use crate::conversations::ports::LineFacts;
use crate::error::{AppError, AppResult};
use crate::flows::ports::FlowLibrary;
use crate::templates::choose::{Occasion, TemplateChooser};
use crate::time::{Clock, NewId};

/// Things a decision may ask for: a graph, and each template one unit of work sends.
const BROUGHT_MAX: usize = 32;

/// Runs conversation commands that look into flows.
pub struct RunDecisions {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Conversation>>,
    /// Leads, for the `lead` scope.
    pub leads: Arc<dyn Commands<Lead>>,
    /// What runs.
    pub library: Arc<dyn FlowLibrary>,
    /// Which template goes out.
    pub templates: Arc<TemplateChooser>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl RunDecisions {
    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What a decision on this line may look into. The lead is read only when an active flow looks at it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn surroundings(&self, line: &LineFacts, phone: Option<&Phone>) -> AppResult<Surroundings> {
        let active = self.library.active(line.tenant).await?;
        let lead = match phone {
            Some(phone) if active.iter().any(|flow| flow.reads_lead) => Some(self.lead(line.tenant, phone).await?),
            Some(_) | None => None,
        };
        Ok(Surroundings {
            library: Library { active, pinned: None },
            lead,
            timezone: line.timezone,
            now: self.clock.now(),
            seed: self.ids.new_id(),
            templates: TemplateChoices::Looked(Vec::new()),
        })
    }

    /// The lead with this phone, as templates see it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn lead(&self, tenant: TenantId, phone: &Phone) -> AppResult<Value> {
        let lead = self.leads.load(&StreamId::new(tenant, Lead::id_of(tenant, phone).0)).await?;
        Ok(match lead.known() {
            Some(known) => serde_json::to_value(known).map_err(AppError::internal)?,
            None => Value::Null,
        })
    }

    /// Runs a command; when the decision asks for a version that is not active any more, or for a template, brings it.
    ///
    /// # Errors
    /// As [`Commands::run`].
    pub async fn run(
        &self,
        stream: &StreamId,
        line: &LineFacts,
        cause: &Cause,
        mut command: ConversationCommand,
        along: Along,
    ) -> Result<Reached, CommandError<ConversationError>> {
        for _ in 0..BROUGHT_MAX {
            let needed = match self.commands.run(stream, cause, command.clone(), along.clone()).await {
                Err(CommandError::Rule(needed)) => needed,
                other => return other,
            };
            let Some(around) = command.surroundings() else { return Err(CommandError::Rule(needed)) };
            match needed {
                ConversationError::GraphNeeded { flow_id, version } => {
                    let flow = self.library.version(stream.tenant, flow_id, version).await.map_err(unavailable)?;
                    let missing = || CommandError::Rule(ConversationError::GraphNeeded { flow_id, version });
                    around.bring(flow.ok_or_else(missing)?);
                }
                ConversationError::TemplateNeeded(wanted) => {
                    let subject = around.seed.to_string();
                    let occasion = Occasion { line, cause, subject: &subject, marketing: true };
                    around.choose(self.templates.choose(occasion, &wanted).await.map_err(unavailable)?);
                }
                other => return Err(CommandError::Rule(other)),
            }
        }
        self.commands.run(stream, cause, command, along).await
    }

    /// Wakes a run whose timer fired.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn fire_timer(
        &self,
        line: &LineFacts,
        conversation: ConversationId,
        run_id: RunId,
        step: u32,
        cause: &Cause,
    ) -> AppResult<()> {
        let around = self.surroundings(line, None).await?;
        let command = ConversationCommand::Timer { run_id, step, around };
        self.run(&StreamId::new(line.tenant, conversation.0), line, cause, command, Along::default()).await?;
        Ok(())
    }

    /// Records what became of a message.
    ///
    /// # Errors
    /// It could not be stored, or the lease it concludes was lost.
    pub async fn record_delivery(
        &self,
        line: &LineFacts,
        conversation: ConversationId,
        news: DeliveryNews,
        cause: &Cause,
        along: Along,
    ) -> Result<Reached, CommandError<ConversationError>> {
        let around = self.surroundings(line, None).await.map_err(unavailable)?;
        let command = ConversationCommand::Delivery { news, around };
        self.run(&StreamId::new(line.tenant, conversation.0), line, cause, command, along).await
    }
}

fn unavailable(error: AppError) -> CommandError<ConversationError> {
    match error {
        AppError::Unavailable => CommandError::Unavailable,
        other => CommandError::Internal(Box::new(other)),
    }
}
