//! What can be asked of an appointment.

use chrono::{DateTime, Utc};

use crate::appointment::{BookingSource, Buffers, CancelledBy, Customer, Service};
use crate::shared::ids::{AppointmentId, ContactId};

/// How long an appointment takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Until then.
    Until(DateTime<Utc>),
    /// So many minutes.
    Minutes(u32),
}

/// An appointment that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Who makes it.
    pub source: BookingSource,
    /// What for.
    pub service: Service,
    /// When it begins, at a whole minute.
    pub start: DateTime<Utc>,
    /// How long it takes.
    pub length: Length,
    /// The IANA time zone it is shown in.
    pub timezone: String,
    /// What it takes up.
    pub resource_id: Option<String>,
    /// The time around it.
    pub buffers: Buffers,
    /// Who comes; name and phone are required.
    pub customer: Customer,
}

/// Another time, or another place, for an appointment; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// When it begins, at a whole minute.
    pub start: DateTime<Utc>,
    /// How long it takes.
    pub length: Option<Length>,
    /// The IANA time zone it is shown in.
    pub timezone: Option<String>,
    /// What it takes up; `Some(None)` is nothing.
    pub resource_id: Option<Option<String>>,
}

/// What becomes of an appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is confirmed.
    Confirm,
    /// It is moved.
    Reschedule(Move),
    /// It is called off.
    Cancel {
        /// By whom.
        by: CancelledBy,
        /// Why, at most 1 000 characters.
        reason: Option<String>,
    },
    /// It took place.
    Complete,
    /// The customer did not come.
    NoShow,
}

/// A wish about one appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppointmentCommand {
    /// Make it.
    Book {
        /// Its id.
        id: AppointmentId,
        /// The contact behind the phone.
        contact: ContactId,
        /// The appointment.
        booking: Box<Booking>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Change it.
    Change {
        /// How.
        change: Change,
        /// The version the change was made on; another one by now refuses it.
        expected_version: Option<u32>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Forget the person.
    Erase {
        /// The contact; an appointment of another contact is left alone.
        contact: ContactId,
        /// Now.
        at: DateTime<Utc>,
    },
}
