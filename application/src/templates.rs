//! Templates: write and submit, follow what Meta thinks of them, approve, delete.

pub mod accounts;
pub mod approved_audit;
pub mod archive;
pub mod batch;
pub mod care;
pub mod check_sent;
pub mod choose;
pub mod delete;
pub mod fallback;
pub mod groups;
pub mod health;
pub mod hear;
pub mod media;
pub mod migration;
pub mod named;
pub mod ports;
pub mod submit;
pub mod sync;
pub mod variants;
pub mod views;

use std::sync::Arc;

use domain::shared::ids::{StreamId, TemplateId};
use domain::template::Template;
use domain::template::category::NonUtility;
use domain::template::command::TemplateCommand;

use crate::actor::{Cause, Session};
use crate::commands::{Along, CatchUp, Commands, Reached};
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::history::at::At;
use crate::log::{Document, Position};
use crate::page::{Page, PageRequest};
use crate::templates::accounts::AccountDirectory;
use crate::templates::ports::{
    CreationAllowance, SyncGate, TemplateFilter, TemplateGroupReader, TemplateProvider, TemplateReader,
};
use crate::templates::sync::SyncReport;
use crate::templates::views::{TemplateDocument, TemplateView};
use crate::time::Clock;
use crate::time_travel::{self, Past};

/// The templates of accounts.
pub struct Templates {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Template>>,
    /// Where lists come from.
    pub reader: Arc<dyn TemplateReader>,
    /// Groups, for those a template is to join.
    pub groups: Arc<dyn TemplateGroupReader>,
    /// Meta.
    pub provider: Arc<dyn TemplateProvider>,
    /// The WhatsApp Business Accounts of an account.
    pub accounts: Arc<dyn AccountDirectory>,
    /// How many may be submitted.
    pub allowance: Arc<dyn CreationAllowance>,
    /// One sync at a time.
    pub gate: Arc<dyn SyncGate>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<Template>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

/// What a person decides about a template; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Approval {
    /// Whether it may be sent before the client signed it off.
    pub is_work_approved: Option<bool>,
    /// Their word for the category Meta moved it to.
    pub non_utility: Option<NonUtility>,
}

impl Templates {
    /// The account's templates after a sync with Meta, and how the sync went.
    ///
    /// # Errors
    /// They cannot be read. A sync that fails is told, and fails nothing.
    pub async fn list(
        &self,
        session: &Session,
        filter: &TemplateFilter,
        page: &PageRequest,
    ) -> AppResult<(Page<TemplateView>, SyncReport)> {
        let report = self.sync(session.tenant, session.correlation).await?;
        let found = self.reader.list(session.tenant, filter, page).await?;
        let Page { rows, next, total } = found;
        let rows = rows.iter().filter_map(TemplateView::of).collect();
        Ok((Page { rows, next, total }, report))
    }

    /// Takes a person's decisions about a template.
    ///
    /// # Errors
    /// It is not there, or a reason is missing.
    pub async fn approve(
        &self,
        session: &Session,
        id: TemplateId,
        approval: Approval,
    ) -> AppResult<Written<TemplateView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let mut cause = session.cause();
        let mut reached = Reached::default();
        if let Some(word) = approval.non_utility {
            let command = TemplateCommand::OverrideCategory { word, at: self.clock.now() };
            reached = self.commands.run(&stream, &cause, command, Along::default()).await?;
            // The request's key is used up; what follows is part of the same request.
            cause.once = None;
        }
        if let Some(approved) = approval.is_work_approved {
            let command = TemplateCommand::SetWorkApproval { approved, at: self.clock.now() };
            let after = self.commands.run(&stream, &cause, command, Along::default()).await?;
            reached.position = after.position.or(reached.position);
        }
        self.read_back(&stream, reached.position).await
    }

    /// Runs a command that is part of a larger request.
    async fn run(&self, stream: &StreamId, cause: &Cause, command: TemplateCommand) -> AppResult<Option<Position>> {
        let cause = Cause { once: None, ..cause.clone() };
        Ok(self.commands.run(stream, &cause, command, Along::default()).await?.position)
    }

    async fn wait(&self, position: Option<Position>) -> bool {
        match position {
            Some(position) => self.catch_up.wait(&[TemplateDocument::NAME], position).await,
            None => true,
        }
    }

    async fn read_back(&self, stream: &StreamId, position: Option<Position>) -> AppResult<Written<TemplateView>> {
        let caught_up = self.wait(position).await;
        let document = match position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, stream, &At::Position(position)).await?.pop(),
            None => self.reader.get(stream.tenant, TemplateId(stream.id)).await?,
        };
        let view = document.as_ref().and_then(TemplateView::of).ok_or(AppError::NotFound("template"))?;
        Ok(Written { view, caught_up })
    }
}
