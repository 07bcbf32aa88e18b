//! What a template agrees to.

use chrono::{DateTime, TimeDelta, Utc};

use crate::decide::Decide;
use crate::template::approval::Status;
use crate::template::category::{Category, NonUtility, check_word};
use crate::template::command::{Draft, TemplateCommand};
use crate::template::error::TemplateError;
use crate::template::event::TemplateEvent;
use crate::template::sending::{sendable, stops_template};
use crate::template::{KnownTemplate, Template, draft};

/// How long a submission may take; after that it may be tried again.
pub const SUBMISSION_SECONDS_MAX: i64 = 120;

impl Decide for Template {
    fn decide(&self, command: TemplateCommand) -> Result<Vec<TemplateEvent>, TemplateError> {
        match command {
            TemplateCommand::Submit { draft, name_blocked_until, at } => self.submit(draft, name_blocked_until, at),
            TemplateCommand::Hear { identity, provider_id, news, told_at, at } => {
                Ok(self.hear(identity, provider_id, news, told_at, at))
            }
            TemplateCommand::Accept { provider_id, status, category, at } => {
                Ok(self.existing()?.accept(provider_id, status, category, at))
            }
            TemplateCommand::Refuse { error, at } => {
                let waiting = self.existing()?.status == Status::Submitting;
                Ok(waiting.then_some(TemplateEvent::Refused { error, at }).into_iter().collect())
            }
            TemplateCommand::Miss { listed_at, at } => Ok(self.existing()?.miss(listed_at, at)),
            TemplateCommand::OverrideCategory { word, at } => self.existing()?.override_category(&word, at),
            TemplateCommand::SetWorkApproval { approved, at } => Ok(self.present()?.set_work_approval(approved, at)),
            TemplateCommand::PauseSending { reason, at } => Ok(self.present()?.pause_sending(reason, at)),
            TemplateCommand::ResumeSending { at } => Ok(self.present()?.resume_sending(at)),
            TemplateCommand::RecordSendRefusal { error, at } => {
                let known = self.existing()?;
                let news = sendable(self).is_ok() && stops_template(error.code) && !known.is_gone();
                Ok(news.then_some(TemplateEvent::SendRefused { error, at }).into_iter().collect())
            }
            TemplateCommand::RequestDeletion { client_approval, at } => {
                self.existing()?.request_deletion(client_approval, at)
            }
            TemplateCommand::ConfirmDeletion { at } => Ok(self.existing()?.confirm_deletion(at)),
            TemplateCommand::FailDeletion { error, at } => {
                let gone = self.existing()?.is_gone();
                Ok((!gone).then_some(TemplateEvent::DeletionFailed { error, at }).into_iter().collect())
            }
        }
    }
}

impl Template {
    fn existing(&self) -> Result<&KnownTemplate, TemplateError> {
        self.known().ok_or(TemplateError::NotFound)
    }

    /// The template, unless it is gone.
    fn present(&self) -> Result<&KnownTemplate, TemplateError> {
        self.existing().ok().filter(|it| !it.is_gone()).ok_or(TemplateError::NotFound)
    }

    fn submit(
        &self,
        draft: Draft,
        blocked: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    ) -> Result<Vec<TemplateEvent>, TemplateError> {
        let problems = draft::problems(&draft);
        if !problems.is_empty() {
            return Err(TemplateError::Invalid(problems));
        }
        if let Some(known) = self.known() {
            match known.status {
                Status::Refused | Status::Deleted => {}
                Status::Submitting if at - known.status_at >= TimeDelta::seconds(SUBMISSION_SECONDS_MAX) => {}
                Status::Submitting => return Err(TemplateError::BeingSubmitted),
                _ => return Err(TemplateError::Exists(known.status.to_string())),
            }
        }
        let own = self.known().and_then(|known| known.name_blocked_until);
        if let Some(until) = own.max(blocked).filter(|until| *until > at) {
            return Err(TemplateError::NameBlocked(until));
        }
        let non_utility_override = draft.non_utility.given().map(str::to_owned);
        Ok(vec![TemplateEvent::Submitted {
            template_id: draft.identity.id,
            waba_id: draft.identity.waba_id,
            name: draft.identity.name,
            language: draft.identity.language,
            category: draft.category,
            components: draft.components,
            non_utility_override,
            target_group: draft.target_group,
            at,
        }])
    }
}

impl KnownTemplate {
    fn accept(
        &self,
        provider_id: Option<String>,
        status: Status,
        category: Option<Category>,
        at: DateTime<Utc>,
    ) -> Vec<TemplateEvent> {
        let mut events = if self.status == Status::Submitting {
            vec![TemplateEvent::Accepted { provider_id, status, at }]
        } else {
            // News of it were quicker than the answer to our request.
            self.identify(provider_id.as_deref(), at)
        };
        events.extend(self.recategorise(category, at, at));
        events
    }

    fn override_category(&self, word: &NonUtility, at: DateTime<Utc>) -> Result<Vec<TemplateEvent>, TemplateError> {
        let moved = self.category.as_ref().filter(|category| !category.is_cleared(&self.cleared) && !self.is_gone());
        let Some(category) = moved else { return Ok(Vec::new()) };
        let mut problems = Vec::new();
        check_word(word, category, &mut problems);
        match word.given() {
            Some(reason) if problems.is_empty() => {
                let (category, reason) = (category.clone(), reason.to_owned());
                Ok(vec![TemplateEvent::CategoryOverridden { category, reason, at }])
            }
            Some(_) | None => Err(TemplateError::Invalid(problems)),
        }
    }
}
