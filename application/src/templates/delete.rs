//! Deleting a template: at Meta, and here.

use std::collections::BTreeMap;

use domain::decide::Decide as _;
use domain::shared::ids::StreamId;
use domain::shared::provider_error::ProviderError;
use domain::template::KnownTemplate;
use domain::template::approval::Status;
use domain::template::command::TemplateCommand;
use domain::template::deletion::ClientApproval;
use domain::template::error::TemplateError;

use crate::actor::Session;
use crate::commands::Along;
use crate::error::{AppError, AppResult};
use crate::log::Position;
use crate::templates::Templates;
use crate::templates::accounts::{BusinessAccount, no_line};
use crate::templates::ports::{About, ProviderFailure};
use crate::templates::submit::{refused, unreachable_provider};
use crate::templates::views::{TemplateDocument, TemplateView};

impl Templates {
    /// Deletes a name in every language, or in one; the templates as they stand then.
    ///
    /// # Errors
    /// There is none, one of them cannot be deleted, or Meta does not delete it.
    pub async fn delete(
        &self,
        session: &Session,
        name: &str,
        language: Option<&str>,
        client_approval: Option<ClientApproval>,
    ) -> AppResult<Vec<TemplateView>> {
        let found = self.reader.named(session.tenant, &[name]).await?;
        let wanted: Vec<TemplateDocument> = found
            .into_iter()
            .filter(|it| it.known().is_some_and(|it| !it.is_gone() && language.is_none_or(|l| l == it.language)))
            .collect();
        if wanted.is_empty() {
            return Err(AppError::NotFound("template"));
        }
        // All of them or none: what cannot be deleted is told before anything is.
        for document in &wanted {
            let request = self.request(client_approval.as_ref());
            document.template.decide(request)?;
            if document.known().is_some_and(|it| it.status == Status::Submitting) {
                return Err(TemplateError::BeingSubmitted.into());
            }
        }
        let mut cause = session.cause();
        for document in &wanted {
            let Some(known) = document.known() else { continue };
            let (stream, request) = (StreamId::new(session.tenant, known.id.0), self.request(client_approval.as_ref()));
            self.commands.run(&stream, &cause, request, Along::default()).await?;
            // The request's key is used up; what follows is part of the same request.
            cause.once = None;
        }
        let accounts = self.accounts.of(session.tenant).await?;
        let mut by_account: BTreeMap<&str, Vec<&KnownTemplate>> = BTreeMap::new();
        for known in wanted.iter().filter_map(|it| it.known()) {
            by_account.entry(&known.waba_id).or_default().push(known);
        }
        let mut reached = None;
        for (waba_id, templates) in by_account {
            let account = accounts.iter().find(|account| account.waba_id == waba_id);
            let done = self.delete_there(account, name, language.is_none(), &templates).await;
            for known in &templates {
                let stream = StreamId::new(session.tenant, known.id.0);
                let at = self.clock.now();
                let command = match &done {
                    Ok(()) => TemplateCommand::ConfirmDeletion { at },
                    Err((Some(error), _)) => TemplateCommand::FailDeletion { error: error.clone(), at },
                    Err((None, _)) => continue,
                };
                reached = self.run(&stream, &cause, command).await?.or(reached);
            }
            if let Err((_, refusal)) = done {
                return Err(refusal);
            }
        }
        self.as_they_stand(session, &wanted, reached).await
    }

    fn request(&self, client_approval: Option<&ClientApproval>) -> TemplateCommand {
        TemplateCommand::RequestDeletion { client_approval: client_approval.cloned(), at: self.clock.now() }
    }

    /// Deletes templates of one WhatsApp Business Account at Meta, if Meta has them.
    async fn delete_there(
        &self,
        account: Option<&BusinessAccount>,
        name: &str,
        every_language: bool,
        templates: &[&KnownTemplate],
    ) -> Result<(), (Option<ProviderError>, AppError)> {
        let there: Vec<_> = templates.iter().filter(|it| it.is_live()).collect();
        if there.is_empty() {
            return Ok(());
        }
        let account = account.ok_or_else(|| (None, no_line()))?;
        let ids = there.iter().map(|it| it.provider_id.as_deref());
        // Without an id Meta would delete every language.
        if !every_language && there.iter().any(|it| it.provider_id.is_none()) {
            return Err((None, unidentified()));
        }
        let asked: Vec<Option<&str>> = if every_language { vec![None] } else { ids.collect() };
        for id in asked {
            match self.provider.delete(account, name, id).await {
                // It was gone already: that is what was asked for.
                Ok(()) | Err(ProviderFailure::Refused { about: About::Absence, .. }) => {}
                Err(ProviderFailure::Refused { error, about, wait_sec }) => {
                    let refusal = refused(&error, about, wait_sec);
                    return Err((Some(error), refusal));
                }
                Err(ProviderFailure::NotSent(why) | ProviderFailure::InDoubt(why)) => {
                    tracing::warn!(why, name, "A template was not deleted");
                    return Err((None, unreachable_provider()));
                }
            }
        }
        Ok(())
    }

    async fn as_they_stand(
        &self,
        session: &Session,
        deleted: &[TemplateDocument],
        reached: Option<Position>,
    ) -> AppResult<Vec<TemplateView>> {
        let mut views = Vec::new();
        for known in deleted.iter().filter_map(|it| it.known()) {
            let stream = StreamId::new(session.tenant, known.id.0);
            views.push(self.read_back(&stream, reached).await?.view);
        }
        Ok(views)
    }
}

fn unidentified() -> AppError {
    AppError::Conflict {
        code: "template_unidentified",
        message: "Meta's id of the template is not known yet; GET /api/templates asks for it".to_owned(),
    }
}
