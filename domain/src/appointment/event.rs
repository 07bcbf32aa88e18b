//! What happened to an appointment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::appointment::{BookingSource, Buffers, CancelledBy, Customer, Placement, Service};
use crate::decide::event_tags;
use crate::shared::ids::{AppointmentId, ContactId};

/// A fact about an appointment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum AppointmentEvent {
    /// It was made. The customer is gone once the contact was erased.
    Booked {
        appointment_id: AppointmentId,
        contact_id: ContactId,
        source: BookingSource,
        service: Service,
        placement: Placement,
        buffers: Buffers,
        customer: Customer,
        at: DateTime<Utc>,
    },
    /// It was confirmed.
    Confirmed { at: DateTime<Utc> },
    /// It was moved from one time, or place, to another.
    Rescheduled { from: Placement, to: Placement, at: DateTime<Utc> },
    /// It was called off. The reason is gone once the contact was erased.
    Cancelled { by: CancelledBy, reason: Option<String>, at: DateTime<Utc> },
    /// It took place.
    Completed { at: DateTime<Utc> },
    /// The customer did not come.
    NoShow { at: DateTime<Utc> },
    /// The person asked to be forgotten: what the log held of them cannot be read any more, and nothing more happens
    /// here. One that was still to come was called off before.
    ContactErased { at: DateTime<Utc> },
}

impl AppointmentEvent {
    /// When it happened.
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Booked { at, .. }
            | Self::Confirmed { at }
            | Self::Rescheduled { at, .. }
            | Self::Cancelled { at, .. }
            | Self::Completed { at }
            | Self::NoShow { at }
            | Self::ContactErased { at } => *at,
        }
    }
}

event_tags!(AppointmentEvent {
    Booked = "appointment.booked",
    Confirmed = "appointment.confirmed",
    Rescheduled = "appointment.rescheduled",
    Cancelled = "appointment.cancelled",
    Completed = "appointment.completed",
    NoShow = "appointment.no_show",
    ContactErased = "appointment.contact_erased",
});
