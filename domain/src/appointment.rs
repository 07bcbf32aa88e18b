//! An appointment: somebody comes for a service at a time, and takes a resource up for as long.

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod personal;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::appointment::command::AppointmentCommand;
use crate::appointment::error::AppointmentError;
use crate::appointment::event::AppointmentEvent;
use crate::decide::aggregate;
use crate::shared::ids::{AppointmentId, ContactId};
use crate::shared::phone::Phone;

string_enum! {
    /// Where an appointment stands.
    AppointmentStatus {
        /// It was made, and nobody confirmed it yet.
        Booked = "booked",
        /// It was confirmed.
        Confirmed = "confirmed",
        /// It will not take place.
        Cancelled = "cancelled",
        /// It took place.
        Completed = "completed",
        /// The customer did not come.
        NoShow = "no_show",
    }
}

impl AppointmentStatus {
    /// Whether it is still to come: it takes its resource up, and may change.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Booked | Self::Confirmed)
    }
}

string_enum! {
    /// Who made an appointment.
    BookingSource {
        /// Somebody of the account, or a system of theirs.
        Staff = "staff",
        /// A flow, for the customer it talks to.
        Flow = "flow",
        /// The customer, on the public booking page.
        Public = "public",
    }
}

string_enum! {
    /// Who called an appointment off.
    CancelledBy {
        /// The account.
        Staff = "staff",
        /// The customer.
        Customer = "customer",
        /// FlowBot, because the contact was erased.
        System = "system",
    }
}

/// What the customer comes for. One of the two is known at least.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Service {
    /// The service's id in the account's settings, or any other word that names it.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
}

/// When and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// When it ends; at that instant the next one may begin.
    pub end: DateTime<Utc>,
    /// The IANA time zone it is shown in, such as `Asia/Jerusalem`.
    pub timezone: String,
    /// What it takes up: a person, a room, a chair.
    pub resource_id: Option<String>,
}

/// The time before and after that nothing else may take the resource up. Kept with the booking: what the settings say
/// later is for later bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buffers {
    /// Minutes before it begins.
    pub before_minutes: u32,
    /// Minutes after it ends.
    pub after_minutes: u32,
}

/// Who comes. All of it is gone once the contact was erased.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Customer {
    /// Name.
    pub name: Option<String>,
    /// Phone.
    pub phone: Option<Phone>,
    /// E-mail address.
    pub email: Option<String>,
    /// Whatever else there is to say.
    pub notes: Option<String>,
}

/// What is known of an appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownAppointment {
    /// Its id.
    pub id: AppointmentId,
    /// The contact who comes.
    pub contact_id: ContactId,
    /// Who made it.
    pub source: BookingSource,
    /// What for.
    pub service: Service,
    /// When and where.
    pub placement: Placement,
    /// The time around it.
    pub buffers: Buffers,
    /// Who comes.
    pub customer: Customer,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// How often it changed, its making included.
    pub version: u32,
}

/// An appointment's life.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Appointment {
    /// Not made yet.
    #[default]
    Absent,
    /// It was made.
    Known(Box<KnownAppointment>),
    /// It was made, and this contact was erased since.
    Erased(ContactId),
}

aggregate!(Appointment, "appointment", AppointmentCommand, AppointmentEvent, AppointmentError);

impl Placement {
    /// Minutes from its beginning to its end.
    pub fn minutes(&self) -> i64 {
        (self.end - self.start).num_minutes()
    }
}

impl KnownAppointment {
    /// The time its resource is taken up, buffers included: from the first instant to the one that is free again.
    pub fn occupied(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let minutes = |minutes: u32| TimeDelta::minutes(i64::from(minutes));
        let from = self.placement.start - minutes(self.buffers.before_minutes);
        (from, self.placement.end + minutes(self.buffers.after_minutes))
    }
}

impl Appointment {
    /// The appointment, if it is known.
    pub fn known(&self) -> Option<&KnownAppointment> {
        match self {
            Self::Known(appointment) => Some(appointment),
            Self::Absent | Self::Erased(_) => None,
        }
    }

    pub(crate) fn apply_event(&mut self, event: AppointmentEvent) {
        if let AppointmentEvent::Booked {
            appointment_id,
            contact_id,
            source,
            service,
            placement,
            buffers,
            customer,
            ..
        } = event
        {
            *self = Self::Known(Box::new(KnownAppointment {
                id: appointment_id,
                contact_id,
                source,
                service,
                placement,
                buffers,
                customer,
                status: AppointmentStatus::Booked,
                version: 1,
            }));
            return;
        }
        let Self::Known(appointment) = self else { return };
        appointment.version += 1;
        match event {
            AppointmentEvent::Booked { .. } => {}
            AppointmentEvent::Confirmed { .. } => appointment.status = AppointmentStatus::Confirmed,
            AppointmentEvent::Rescheduled { to, .. } => appointment.placement = to,
            AppointmentEvent::Cancelled { .. } => appointment.status = AppointmentStatus::Cancelled,
            AppointmentEvent::Completed { .. } => appointment.status = AppointmentStatus::Completed,
            AppointmentEvent::NoShow { .. } => appointment.status = AppointmentStatus::NoShow,
            AppointmentEvent::ContactErased { .. } => *self = Self::Erased(appointment.contact_id),
        }
    }
}

#[cfg(test)]
mod tests;
