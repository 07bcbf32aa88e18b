//! Leads: tell, change, list.

pub mod views;

use std::sync::Arc;

use async_trait::async_trait;
use domain::lead::Lead;
use domain::lead::command::{LeadCommand, LeadFacts};
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{StreamId, TenantId};
use domain::shared::phone::Phone;

use crate::actor::{Cause, Session};
use crate::commands::{Along, CatchUp, Commands, Reached};
use crate::contacts::{anew, is_erased};
use crate::conversations::ports::Contacts;
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::history::at::At;
use crate::leads::views::LeadView;
use crate::log::Document;
use crate::page::{Page, PageRequest};
use crate::time::Clock;
use crate::time_travel::{self, Past};

/// Which leads are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadFilter {
    /// In this status.
    pub status: Option<String>,
    /// Whose phone or name contains this.
    pub search: Option<String>,
}

/// Reads leads.
#[async_trait]
pub trait LeadReader: Send + Sync {
    /// The account's leads, newest first.
    async fn list(&self, tenant: TenantId, filter: &LeadFilter, page: &PageRequest) -> AppResult<Page<LeadView>>;
    /// One lead.
    async fn get(&self, tenant: TenantId, phone: &Phone) -> AppResult<Option<LeadView>>;
}

/// The leads of accounts.
pub struct Leads {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Lead>>,
    /// Who is behind a phone.
    pub contacts: Arc<dyn Contacts>,
    /// Where lists come from.
    pub reader: Arc<dyn LeadReader>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<Lead>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Leads {
    /// Captures a lead, or adds to one that is known. The answer says whether it was new.
    ///
    /// # Errors
    /// A fact breaks a rule.
    pub async fn tell(
        &self,
        session: &Session,
        phone: Phone,
        facts: LeadFacts,
    ) -> AppResult<(Written<LeadView>, bool)> {
        let is_new = self.reader.get(session.tenant, &phone).await?.is_none();
        let reached = self.record(session.tenant, &session.cause(), phone.clone(), facts, Along::default()).await?;
        Ok((self.read_back(session, &phone, reached).await?, is_new))
    }

    /// Captures or adds, for triggers and processes.
    ///
    /// # Errors
    /// A fact breaks a rule.
    pub async fn record(
        &self,
        tenant: TenantId,
        cause: &Cause,
        phone: Phone,
        facts: LeadFacts,
        along: Along,
    ) -> AppResult<Reached> {
        let id = Lead::id_of(tenant, &phone);
        let address = Address::of_phone(phone.clone());
        let stream = StreamId::new(tenant, id.0);
        let tell = |contact| LeadCommand::Tell {
            id,
            contact,
            phone: phone.clone(),
            facts: facts.clone(),
            at: self.clock.now(),
        };
        let contact = self.contacts.resolve(tenant, Channel::Whatsapp, &address).await?;
        match self.commands.run(&stream, cause, tell(contact), along.clone()).await {
            Err(error) if is_erased(&error) => {
                let contact = anew(&*self.contacts, tenant, Channel::Whatsapp, &address).await?;
                Ok(self.commands.run(&stream, cause, tell(contact), along).await?)
            }
            told => Ok(told?),
        }
    }

    /// Changes a lead that is known.
    ///
    /// # Errors
    /// It is not there, or a fact breaks a rule.
    pub async fn change(&self, session: &Session, phone: &Phone, facts: LeadFacts) -> AppResult<Written<LeadView>> {
        let stream = StreamId::new(session.tenant, Lead::id_of(session.tenant, phone).0);
        let command = LeadCommand::Change { facts, at: self.clock.now() };
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        self.read_back(session, phone, reached).await
    }

    /// One lead.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, session: &Session, phone: &Phone) -> AppResult<LeadView> {
        self.reader.get(session.tenant, phone).await?.ok_or(AppError::NotFound("lead"))
    }

    /// The account's leads.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list(&self, session: &Session, filter: &LeadFilter, page: &PageRequest) -> AppResult<Page<LeadView>> {
        self.reader.list(session.tenant, filter, page).await
    }

    async fn read_back(&self, session: &Session, phone: &Phone, reached: Reached) -> AppResult<Written<LeadView>> {
        let caught_up = match reached.position {
            Some(position) => self.catch_up.wait(&[LeadView::NAME], position).await,
            None => true,
        };
        let stream = StreamId::new(session.tenant, Lead::id_of(session.tenant, phone).0);
        let view = match reached.position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, &stream, &At::Position(position)).await?.pop(),
            None => self.reader.get(session.tenant, phone).await?,
        };
        Ok(Written { view: view.ok_or(AppError::NotFound("lead"))?, caught_up })
    }
}
