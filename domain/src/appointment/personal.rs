//! What of an appointment is about the person: who comes, and why it was called off. When it was, what for and what
//! became of it is not.

use crate::appointment::event::AppointmentEvent;
use crate::appointment::{Appointment, Customer};
use crate::personal::Personal;
use crate::shared::ids::ContactId;

impl Personal for Appointment {
    fn contact(&self) -> Option<ContactId> {
        match self {
            Self::Known(appointment) => Some(appointment.contact_id),
            Self::Erased(contact) => Some(*contact),
            Self::Absent => None,
        }
    }

    fn without_person(event: &AppointmentEvent) -> Option<AppointmentEvent> {
        match event.clone() {
            AppointmentEvent::Booked {
                appointment_id,
                contact_id,
                source,
                service,
                placement,
                buffers,
                at,
                customer: _,
            } => Some(AppointmentEvent::Booked {
                appointment_id,
                contact_id,
                source,
                service,
                placement,
                buffers,
                customer: Customer::default(),
                at,
            }),
            AppointmentEvent::Cancelled { by, reason: Some(_), at } => {
                Some(AppointmentEvent::Cancelled { by, reason: None, at })
            }
            AppointmentEvent::Confirmed { .. }
            | AppointmentEvent::Rescheduled { .. }
            | AppointmentEvent::Cancelled { reason: None, .. }
            | AppointmentEvent::Completed { .. }
            | AppointmentEvent::NoShow { .. }
            | AppointmentEvent::ContactErased { .. } => None,
        }
    }
}
