//! What a person does about a template that does badly: stop it, let it rest, look for words Meta files under UTILITY.

use domain::flow::validation::Problem;
use domain::shared::ids::{StreamId, TemplateId};
use domain::template::category::Category;
use domain::template::command::TemplateCommand;
use domain::template::draft::NAME_CHARS_MAX;
use domain::template::rewrite::{self, Reason};
use serde_json::Value;

use crate::actor::Session;
use crate::commands::Along;
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::templates::Templates;
use crate::templates::views::TemplateView;

/// What a proposal's name ends in: an approved template keeps its category, so other words are another template.
const PROPOSED: &str = "_utility";

/// A template as Meta could take it for UTILITY. Nothing was sent, and nothing submitted.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct UtilityProposal {
    /// Always true: it is a proposal and no more.
    pub dry_run: bool,
    /// The category Meta has it in.
    pub category_now: Option<String>,
    /// Whether the proposal says something else than the template does.
    pub changed: bool,
    /// The name it could be submitted under.
    pub suggested_name: String,
    /// The components as proposed.
    pub components: Value,
    /// What reads as marketing, and whether the proposal is without it.
    pub reasons: Vec<Reason>,
    /// What Meta would refuse of the proposal as UTILITY; none when it could be submitted as it is.
    pub problems: Vec<Problem>,
}

impl Templates {
    /// Lets a template rest: nothing sends it until it is resumed.
    ///
    /// # Errors
    /// It is not there.
    pub async fn pause_sending(
        &self,
        session: &Session,
        id: TemplateId,
        reason: Option<String>,
    ) -> AppResult<Written<TemplateView>> {
        let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        self.act(session, id, TemplateCommand::PauseSending { reason, at: self.clock.now() }).await
    }

    /// Lets it be sent again, as far as we are concerned.
    ///
    /// # Errors
    /// It is not there.
    pub async fn resume_sending(&self, session: &Session, id: TemplateId) -> AppResult<Written<TemplateView>> {
        self.act(session, id, TemplateCommand::ResumeSending { at: self.clock.now() }).await
    }

    /// The template without what makes Meta file it under MARKETING.
    ///
    /// # Errors
    /// It is not there, or what it says is not known yet.
    pub async fn utility_proposal(&self, session: &Session, id: TemplateId) -> AppResult<UtilityProposal> {
        let document = self.reader.get(session.tenant, id).await?;
        let known = document.as_ref().and_then(|it| it.known()).filter(|it| !it.is_gone());
        let known = known.ok_or(AppError::NotFound("template"))?;
        if known.components.is_null() {
            return Err(AppError::Conflict {
                code: "template_content_unknown",
                message: "Meta has not told yet what the template says; GET /api/templates asks for it".to_owned(),
            });
        }
        let rewrite = rewrite::as_utility(&known.components);
        let stem: String = known.name.chars().take(NAME_CHARS_MAX - PROPOSED.len()).collect();
        Ok(UtilityProposal {
            dry_run: true,
            category_now: known.category.as_ref().map(Category::to_string),
            changed: rewrite.components != known.components,
            suggested_name: format!("{stem}{PROPOSED}"),
            components: rewrite.components,
            reasons: rewrite.reasons,
            problems: rewrite.problems,
        })
    }

    async fn act(
        &self,
        session: &Session,
        id: TemplateId,
        command: TemplateCommand,
    ) -> AppResult<Written<TemplateView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        self.read_back(&stream, reached.position).await
    }
}
