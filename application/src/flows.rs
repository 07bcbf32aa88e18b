//! Flows: make, change, publish, delete, list.

pub mod ports;
pub mod views;
pub mod what_if;

use std::sync::Arc;

use domain::flow::Flow;
use domain::flow::command::{FlowChange, FlowCommand};
use domain::shared::ids::{FlowId, StreamId};

use crate::actor::Session;
use crate::commands::{Along, CatchUp, Commands};
use crate::error::{AppError, AppResult};
use crate::flows::ports::{FlowLibrary, FlowReader};
use crate::flows::views::{FlowVersionView, FlowView};
use crate::history::at::At;
use crate::log::Document;
use crate::page::{Page, PageRequest};
use crate::time::{Clock, NewId};
use crate::time_travel::{self, Past};

/// The flows of accounts.
pub struct Flows {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Flow>>,
    /// Where lists come from.
    pub reader: Arc<dyn FlowReader>,
    /// What runs.
    pub library: Arc<dyn FlowLibrary>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<Flow>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

/// An answer, and whether the read models know of it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Written<T> {
    /// The answer.
    pub view: T,
    /// False when the read models lag: a `Projection-Lag` header says so.
    pub caught_up: bool,
}

impl Flows {
    /// Makes a flow; `status: active` publishes its graph at once.
    ///
    /// # Errors
    /// The name is missing, or the graph has problems.
    pub async fn create(&self, session: &Session, change: FlowChange) -> AppResult<Written<FlowView>> {
        let id = FlowId(self.ids.new_id());
        self.run(session, id, FlowCommand::Create { id, change, at: self.clock.now() }).await
    }

    /// Changes a flow.
    ///
    /// # Errors
    /// It is not there, or the graph has problems.
    pub async fn change(&self, session: &Session, id: FlowId, change: FlowChange) -> AppResult<Written<FlowView>> {
        self.run(session, id, FlowCommand::Change { change, at: self.clock.now() }).await
    }

    /// Publishes the saved graph as the next version; the last one when nothing changed.
    ///
    /// # Errors
    /// It is not there, or the graph has problems.
    pub async fn publish(&self, session: &Session, id: FlowId) -> AppResult<Written<FlowVersionView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let command = FlowCommand::Publish { at: self.clock.now() };
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        let caught_up = self.wait(reached.position).await;
        self.library.forget(session.tenant);
        let first = PageRequest { limit: 1, after: None };
        let versions = match reached.position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, &stream, &At::Position(position)).await?,
            None => self.reader.versions(session.tenant, id, &first).await?.rows,
        };
        let newest = versions.into_iter().max_by_key(|it: &FlowVersionView| it.version);
        newest.map(|view| Written { view, caught_up }).ok_or(AppError::NotFound("flow version"))
    }

    /// Deletes a flow. Its history and its versions stay, waiting runs go on.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete(&self, session: &Session, id: FlowId) -> AppResult<()> {
        let stream = StreamId::new(session.tenant, id.0);
        self.get(session, id).await?;
        let command = FlowCommand::Delete { at: self.clock.now() };
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        self.wait(reached.position).await;
        self.library.forget(session.tenant);
        Ok(())
    }

    /// One flow.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, session: &Session, id: FlowId) -> AppResult<FlowView> {
        self.reader.get(session.tenant, id).await?.ok_or(AppError::NotFound("flow"))
    }

    /// The account's flows.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list(&self, session: &Session, page: &PageRequest) -> AppResult<Page<FlowView>> {
        self.reader.list(session.tenant, page).await
    }

    /// A flow's versions, newest first.
    ///
    /// # Errors
    /// The flow is not there.
    pub async fn versions(
        &self,
        session: &Session,
        id: FlowId,
        page: &PageRequest,
    ) -> AppResult<Page<FlowVersionView>> {
        self.get(session, id).await?;
        self.reader.versions(session.tenant, id, page).await
    }

    async fn run(&self, session: &Session, id: FlowId, command: FlowCommand) -> AppResult<Written<FlowView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        let caught_up = self.wait(reached.position).await;
        self.library.forget(session.tenant);
        let view = match reached.position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, &stream, &At::Position(position)).await?.pop(),
            None => self.reader.get(session.tenant, id).await?,
        };
        Ok(Written { view: view.ok_or(AppError::NotFound("flow"))?, caught_up })
    }

    async fn wait(&self, position: Option<crate::log::Position>) -> bool {
        match position {
            Some(position) => self.catch_up.wait(&[FlowView::NAME, FlowVersionView::NAME], position).await,
            None => true,
        }
    }
}
