//! Appointments: book, change, list.

pub mod views;

use std::sync::Arc;

use async_trait::async_trait;
use domain::appointment::command::{AppointmentCommand, Booking, Change};
use domain::appointment::error::AppointmentError;
use domain::appointment::{Appointment, AppointmentStatus};
use domain::shared::channel::{Address, Channel};
use domain::shared::ids::{AppointmentId, ContactId, StreamId, TenantId};

use crate::actor::{Cause, Session};
use crate::appointments::views::AppointmentView;
use crate::commands::{Along, CatchUp, Commands, Reached};
use crate::contacts::{anew, is_erased};
use crate::conversations::ports::Contacts;
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::history::at::At;
use crate::log::Document;
use crate::page::{Page, PageRequest};
use crate::time::{Clock, NewId, Stamp};
use crate::time_travel::{self, Past};

/// Which appointments are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppointmentFilter {
    /// That end after this.
    pub from: Option<Stamp>,
    /// That begin before this.
    pub to: Option<Stamp>,
    /// In this status.
    pub status: Option<AppointmentStatus>,
    /// That take this up.
    pub resource_id: Option<String>,
}

/// Reads appointments.
#[async_trait]
pub trait AppointmentReader: Send + Sync {
    /// The account's appointments, the earliest first.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> AppResult<Page<AppointmentView>>;
    /// One appointment.
    async fn get(&self, tenant: TenantId, id: AppointmentId) -> AppResult<Option<AppointmentView>>;
}

/// The appointments of accounts.
pub struct Appointments {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Appointment>>,
    /// Who is behind a phone.
    pub contacts: Arc<dyn Contacts>,
    /// Where lists come from.
    pub reader: Arc<dyn AppointmentReader>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<Appointment>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids of new appointments.
    pub ids: Arc<dyn NewId>,
}

impl Appointments {
    /// Makes an appointment with whoever is behind the customer's phone.
    ///
    /// # Errors
    /// It breaks a rule, or its resource is taken at that time.
    pub async fn book(&self, session: &Session, booking: Booking) -> AppResult<Written<AppointmentView>> {
        let id = AppointmentId(self.ids.new_id());
        let reached = self.record(session.tenant, &session.cause(), id, booking).await?;
        self.read_back(session, id, reached).await
    }

    /// Makes an appointment, for whoever books.
    ///
    /// # Errors
    /// As [`Appointments::book`].
    pub async fn record(
        &self,
        tenant: TenantId,
        cause: &Cause,
        id: AppointmentId,
        booking: Booking,
    ) -> AppResult<Reached> {
        let phone = booking.customer.phone.clone().ok_or(AppointmentError::Phone)?;
        let address = Address::of_phone(phone);
        let stream = StreamId::new(tenant, id.0);
        let (booking, at) = (Box::new(booking), self.clock.now());
        let book = |contact: ContactId| AppointmentCommand::Book { id, contact, booking: booking.clone(), at };
        let contact = self.contacts.resolve(tenant, Channel::Whatsapp, &address).await?;
        match self.commands.run(&stream, cause, book(contact), Along::default()).await {
            Err(error) if is_erased(&error) => {
                let contact = anew(&*self.contacts, tenant, Channel::Whatsapp, &address).await?;
                Ok(self.commands.run(&stream, cause, book(contact), Along::default()).await?)
            }
            booked => Ok(booked?),
        }
    }

    /// Confirms, moves, calls off or concludes an appointment.
    ///
    /// # Errors
    /// It is not there, it does not agree, or its resource is taken at the new time.
    pub async fn change(
        &self,
        session: &Session,
        id: AppointmentId,
        change: Change,
        expected_version: Option<u32>,
    ) -> AppResult<Written<AppointmentView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let command = AppointmentCommand::Change { change, expected_version, at: self.clock.now() };
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        self.read_back(session, id, reached).await
    }

    /// One appointment.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, session: &Session, id: AppointmentId) -> AppResult<AppointmentView> {
        self.reader.get(session.tenant, id).await?.ok_or(AppError::NotFound("appointment"))
    }

    /// The account's appointments.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list(
        &self,
        session: &Session,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> AppResult<Page<AppointmentView>> {
        self.reader.list(session.tenant, filter, page).await
    }

    async fn read_back(
        &self,
        session: &Session,
        id: AppointmentId,
        reached: Reached,
    ) -> AppResult<Written<AppointmentView>> {
        let caught_up = match reached.position {
            Some(position) => self.catch_up.wait(&[AppointmentView::NAME], position).await,
            None => true,
        };
        let stream = StreamId::new(session.tenant, id.0);
        let view = match reached.position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, &stream, &At::Position(position)).await?.pop(),
            None => self.reader.get(session.tenant, id).await?,
        };
        Ok(Written { view: view.ok_or(AppError::NotFound("appointment"))?, caught_up })
    }
}
