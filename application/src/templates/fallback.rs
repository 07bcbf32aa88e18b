//! After Meta refused a template: it is passed over from now on when the refusal is about the template itself, and the
//! message goes out with the next one of its group, if there is one.

use std::sync::Arc;

use domain::conversation::Conversation;
use domain::conversation::command::ConversationCommand;
use domain::conversation::template_choice::TemplateWanted;
use domain::shared::ids::{ConversationId, MessageId, StreamId, TenantId};
use domain::shared::provider_error::ProviderError;
use domain::template::Template;
use domain::template::command::TemplateCommand;
use domain::template::error::TemplateError;
use domain::template::sending::stops_template;
use domain::template_group::Member;

use crate::actor::Cause;
use crate::commands::{Along, CatchUp, CommandError, Commands};
use crate::conversations::ports::{LineDirectory, LineFacts};
use crate::conversations::runs::RunDecisions;
use crate::error::{AppError, AppResult};
use crate::log::Document;
use crate::templates::views::TemplateDocument;
use crate::time::Clock;

/// Answers refusals of templates.
pub struct Fallback {
    /// Moves the conversation.
    pub decisions: Arc<RunDecisions>,
    /// Conversations as they stand.
    pub conversations: Arc<dyn Commands<Conversation>>,
    /// Templates.
    pub templates: Arc<dyn Commands<Template>>,
    /// The lines' accounts.
    pub lines: Arc<dyn LineDirectory>,
    /// What is chosen next must know of the refusal.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Fallback {
    /// Does what follows from a refusal of class D. Doing it again changes nothing: a try is answered once.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn refused(
        &self,
        tenant: TenantId,
        cause: &Cause,
        (conversation, message_id, retry): (ConversationId, MessageId, u32),
        error: ProviderError,
    ) -> AppResult<()> {
        let stream = StreamId::new(tenant, conversation.0);
        let state = self.conversations.load(&stream).await?;
        let Ok(begun) = state.begun() else { return Ok(()) };
        let Some(message) = begun.outbound.iter().find(|it| it.id == message_id && it.retry == retry) else {
            return Ok(());
        };
        let (Some((refused, _)), Some(template)) = (message.refusals.last(), &message.template) else { return Ok(()) };
        let line = self.lines.find(&begun.line).await?.filter(|line| line.tenant == tenant);
        let line = line.ok_or(AppError::NotFound("line"))?;
        self.pass_over(&line, cause, refused, error).await?;
        let Some(group_id) = template.group_id.filter(|_| message.falls_back()) else { return Ok(()) };
        let wanted = TemplateWanted { name: String::new(), template_id: None, ..TemplateWanted::by(template) };
        let chooser = &self.decisions.templates;
        let choice = chooser.after_refusals(&line, group_id, wanted, &message.refusals).await?;
        let around = self.decisions.surroundings(&line, None).await?;
        let command = ConversationCommand::FallBack { message_id, retry, choice, around };
        self.decisions.run(&stream, &line, cause, command, Along::default()).await?;
        Ok(())
    }

    async fn pass_over(
        &self,
        line: &LineFacts,
        cause: &Cause,
        refused: &Member,
        error: ProviderError,
    ) -> AppResult<()> {
        if !stops_template(error.code) {
            return Ok(());
        }
        let id = Template::id_of(line.tenant, &line.waba_id, &refused.name, &refused.language);
        let command = TemplateCommand::RecordSendRefusal { error, at: self.clock.now() };
        match self.templates.run(&StreamId::new(line.tenant, id.0), cause, command, Along::default()).await {
            Ok(reached) => {
                if let Some(position) = reached.position {
                    self.catch_up.wait(&[TemplateDocument::NAME], position).await;
                }
                Ok(())
            }
            Err(CommandError::Rule(TemplateError::NotFound)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
