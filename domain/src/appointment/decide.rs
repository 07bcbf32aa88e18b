//! What an appointment agrees to.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::appointment::command::{AppointmentCommand, Booking, Change, Length, Move};
use crate::appointment::error::{
    AppointmentError, BUFFER_MINUTES_MAX, ID_CHARS_MAX, MINUTES_MAX, NAME_CHARS_MAX, NOTES_CHARS_MAX, REASON_CHARS_MAX,
    YEARS,
};
use crate::appointment::event::AppointmentEvent;
use crate::appointment::{
    Appointment, AppointmentStatus, Buffers, CancelledBy, Customer, KnownAppointment, Placement, Service,
};
use crate::decide::Decide;
use crate::lead::decide::is_email;

impl Decide for Appointment {
    fn decide(&self, command: AppointmentCommand) -> Result<Vec<AppointmentEvent>, AppointmentError> {
        match command {
            AppointmentCommand::Book { id, contact, booking, at } => {
                let Booking { source, service, start, length, timezone, resource_id, buffers, customer } = *booking;
                let placement = Placement { start, end: length.end(start)?, timezone, resource_id };
                match self {
                    Self::Known(it) if it.is(&service, &placement, buffers, &customer) => return Ok(vec![]),
                    Self::Known(_) | Self::Erased(_) => return Err(AppointmentError::Exists),
                    Self::Absent => {}
                }
                service.check()?;
                placement.check()?;
                buffers.check()?;
                customer.check()?;
                let (appointment_id, contact_id) = (id, contact);
                Ok(vec![AppointmentEvent::Booked {
                    appointment_id,
                    contact_id,
                    source,
                    service,
                    placement,
                    buffers,
                    customer,
                    at,
                }])
            }
            AppointmentCommand::Change { change, expected_version, at } => match self {
                Self::Known(appointment) => appointment.change(change, expected_version, at),
                Self::Erased(_) => Err(AppointmentError::ContactErased),
                Self::Absent => Err(AppointmentError::NotFound),
            },
            AppointmentCommand::Erase { contact, at } => {
                let theirs = self.known().filter(|it| it.contact_id == contact);
                Ok(theirs.map(|it| it.forget(at)).unwrap_or_default())
            }
        }
    }
}

impl KnownAppointment {
    fn is(&self, service: &Service, placement: &Placement, buffers: Buffers, customer: &Customer) -> bool {
        self.service == *service
            && self.placement == *placement
            && self.buffers == buffers
            && self.customer == *customer
    }

    /// The same change twice is quiet, even when the second is made on a version of before.
    fn change(
        &self,
        change: Change,
        expected_version: Option<u32>,
        at: DateTime<Utc>,
    ) -> Result<Vec<AppointmentEvent>, AppointmentError> {
        let to = match &change {
            Change::Reschedule(wanted) => Some(self.moved(wanted)?),
            Change::Confirm | Change::Cancel { .. } | Change::Complete | Change::NoShow => None,
        };
        if self.is_so_already(&change, to.as_ref()) {
            return Ok(vec![]);
        }
        if expected_version.is_some_and(|expected| expected != self.version) {
            return Err(AppointmentError::Stale(self.version));
        }
        if !self.status.is_active() {
            return Err(AppointmentError::Ended(self.status));
        }
        let event = match (change, to) {
            (Change::Confirm, _) => AppointmentEvent::Confirmed { at },
            (Change::Reschedule(_), to) => {
                let to = to.unwrap_or_else(|| self.placement.clone());
                to.check()?;
                AppointmentEvent::Rescheduled { from: self.placement.clone(), to, at }
            }
            (Change::Cancel { by, reason }, _) => {
                let reason = reason.filter(|reason| !reason.trim().is_empty());
                if reason.as_deref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
                    return Err(AppointmentError::Reason);
                }
                AppointmentEvent::Cancelled { by, reason, at }
            }
            (Change::Complete, _) => AppointmentEvent::Completed { at },
            (Change::NoShow, _) => AppointmentEvent::NoShow { at },
        };
        Ok(vec![event])
    }

    fn is_so_already(&self, change: &Change, to: Option<&Placement>) -> bool {
        match change {
            Change::Confirm => self.status == AppointmentStatus::Confirmed,
            Change::Reschedule(_) => self.status.is_active() && to == Some(&self.placement),
            Change::Cancel { .. } => self.status == AppointmentStatus::Cancelled,
            Change::Complete => self.status == AppointmentStatus::Completed,
            Change::NoShow => self.status == AppointmentStatus::NoShow,
        }
    }

    /// Where it would be; it takes as long as before, unless something else is asked for.
    fn moved(&self, wanted: &Move) -> Result<Placement, AppointmentError> {
        let Move { start, length, timezone, resource_id } = wanted.clone();
        let as_before = || start.checked_add_signed(self.placement.end - self.placement.start);
        let end = match length {
            Some(length) => length.end(start)?,
            None => as_before().ok_or(AppointmentError::FarAway)?,
        };
        let timezone = timezone.unwrap_or_else(|| self.placement.timezone.clone());
        let resource_id = resource_id.unwrap_or_else(|| self.placement.resource_id.clone());
        Ok(Placement { start, end, timezone, resource_id })
    }

    /// Nobody can be expected any more: what was still to come is called off.
    fn forget(&self, at: DateTime<Utc>) -> Vec<AppointmentEvent> {
        let cancelled = AppointmentEvent::Cancelled { by: CancelledBy::System, reason: None, at };
        let cancelled = self.status.is_active().then_some(cancelled);
        cancelled.into_iter().chain([AppointmentEvent::ContactErased { at }]).collect()
    }
}

impl Length {
    fn end(self, start: DateTime<Utc>) -> Result<DateTime<Utc>, AppointmentError> {
        match self {
            Self::Until(end) => Ok(end),
            Self::Minutes(minutes) => {
                start.checked_add_signed(TimeDelta::minutes(i64::from(minutes))).ok_or(AppointmentError::FarAway)
            }
        }
    }
}

impl Service {
    fn check(&self) -> Result<(), AppointmentError> {
        let fits = |text: &Option<String>, most: usize| text.as_deref().is_none_or(|text| is_text(text, most));
        let named = self.id.is_some() || self.name.is_some();
        let good = named && fits(&self.id, ID_CHARS_MAX) && fits(&self.name, NAME_CHARS_MAX);
        good.then_some(()).ok_or(AppointmentError::Service)
    }
}

impl Placement {
    fn check(&self) -> Result<(), AppointmentError> {
        let is_whole = |time: DateTime<Utc>| time.timestamp_subsec_nanos() == 0 && time.timestamp() % 60 == 0;
        if ![self.start, self.end].iter().all(|time| YEARS.contains(&time.year())) {
            return Err(AppointmentError::FarAway);
        }
        if !is_whole(self.start) || !is_whole(self.end) {
            return Err(AppointmentError::NoWholeMinute);
        }
        if self.end <= self.start {
            return Err(AppointmentError::EndsBeforeItBegins);
        }
        if self.minutes() > MINUTES_MAX {
            return Err(AppointmentError::TooLong);
        }
        if self.timezone.parse::<chrono_tz::Tz>().is_err() {
            return Err(AppointmentError::Timezone(self.timezone.clone()));
        }
        if self.resource_id.as_deref().is_some_and(|resource| !is_text(resource, ID_CHARS_MAX)) {
            return Err(AppointmentError::Resource);
        }
        Ok(())
    }
}

impl Buffers {
    fn check(self) -> Result<(), AppointmentError> {
        let fits = [self.before_minutes, self.after_minutes].iter().all(|minutes| *minutes <= BUFFER_MINUTES_MAX);
        fits.then_some(()).ok_or(AppointmentError::Buffer)
    }
}

impl Customer {
    fn check(&self) -> Result<(), AppointmentError> {
        if !self.name.as_deref().is_some_and(|name| is_text(name, NAME_CHARS_MAX)) {
            return Err(AppointmentError::Name);
        }
        if self.phone.is_none() {
            return Err(AppointmentError::Phone);
        }
        if let Some(email) = self.email.as_deref().filter(|email| !is_email(email)) {
            return Err(AppointmentError::Email(email.to_owned()));
        }
        if self.notes.as_deref().is_some_and(|notes| notes.chars().count() > NOTES_CHARS_MAX) {
            return Err(AppointmentError::Notes);
        }
        Ok(())
    }
}

fn is_text(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most
}
