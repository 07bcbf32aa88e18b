//! What is shown of appointments.

use domain::appointment::event::AppointmentEvent;
use domain::appointment::{Appointment, AppointmentStatus, BookingSource, CancelledBy, Customer, Placement};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// An appointment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct AppointmentView {
    /// Its id.
    pub id: Uuid,
    /// The contact who comes; `DELETE /api/contacts/{id}/personal-data` takes this id.
    pub contact_id: Uuid,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Who made it.
    pub source: BookingSource,
    /// The id of what the customer comes for.
    pub service_id: Option<String>,
    /// What people call what the customer comes for.
    pub service_name: Option<String>,
    /// When it begins.
    pub start: Stamp,
    /// When it ends; at that instant the next one may begin.
    pub end: Stamp,
    /// Minutes from its beginning to its end.
    pub duration_minutes: i64,
    /// The IANA time zone to show it in.
    pub timezone: String,
    /// What it takes up: a person, a room, a chair.
    pub resource_id: Option<String>,
    /// Minutes before its beginning that nothing else takes the resource up.
    pub buffer_before_minutes: u32,
    /// Minutes after its end that nothing else takes the resource up.
    pub buffer_after_minutes: u32,
    /// The customer's name; absent once the contact was erased, as all that is theirs.
    pub customer_name: Option<String>,
    /// The customer's phone in E.164.
    pub phone: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// Whatever else there is to say.
    pub notes: Option<String>,
    /// Who called it off.
    pub cancelled_by: Option<CancelledBy>,
    /// Why it was called off.
    pub cancellation_reason: Option<String>,
    /// How often it changed, its making included; `expectedVersion` takes it.
    pub version: u32,
    /// When it was made.
    pub created_at: Stamp,
    /// When it last changed.
    pub updated_at: Stamp,
}

impl Default for AppointmentView {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            contact_id: Uuid::nil(),
            status: AppointmentStatus::Booked,
            source: BookingSource::Staff,
            service_id: None,
            service_name: None,
            start: Stamp::default(),
            end: Stamp::default(),
            duration_minutes: 0,
            timezone: String::new(),
            resource_id: None,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            customer_name: None,
            phone: None,
            email: None,
            notes: None,
            cancelled_by: None,
            cancellation_reason: None,
            version: 0,
            created_at: Stamp::default(),
            updated_at: Stamp::default(),
        }
    }
}

impl Document for AppointmentView {
    const NAME: &'static str = "appointment_view";
    type Aggregate = Appointment;

    fn key(recorded: &Recorded<AppointmentEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<AppointmentEvent>) -> bool {
        (self.version, self.updated_at) = (self.version + 1, Stamp(recorded.event.at()));
        match &recorded.event {
            AppointmentEvent::Booked {
                appointment_id,
                contact_id,
                source,
                service,
                placement,
                buffers,
                customer,
                at,
            } => {
                (self.id, self.contact_id, self.source) = (appointment_id.0, contact_id.0, *source);
                (self.service_id, self.service_name) = (service.id.clone(), service.name.clone());
                self.buffer_before_minutes = buffers.before_minutes;
                self.buffer_after_minutes = buffers.after_minutes;
                self.place(placement);
                self.meet(customer);
                self.created_at = Stamp(*at);
            }
            AppointmentEvent::Confirmed { .. } => self.status = AppointmentStatus::Confirmed,
            AppointmentEvent::Rescheduled { to, .. } => self.place(to),
            AppointmentEvent::Cancelled { by, reason, .. } => {
                self.status = AppointmentStatus::Cancelled;
                (self.cancelled_by, self.cancellation_reason) = (Some(*by), reason.clone());
            }
            AppointmentEvent::Completed { .. } => self.status = AppointmentStatus::Completed,
            AppointmentEvent::NoShow { .. } => self.status = AppointmentStatus::NoShow,
            AppointmentEvent::ContactErased { .. } => {
                self.meet(&Customer::default());
                self.cancellation_reason = None;
            }
        }
        true
    }
}

impl AppointmentView {
    fn place(&mut self, placement: &Placement) {
        (self.start, self.end) = (Stamp(placement.start), Stamp(placement.end));
        self.duration_minutes = placement.minutes();
        (self.timezone, self.resource_id) = (placement.timezone.clone(), placement.resource_id.clone());
    }

    fn meet(&mut self, customer: &Customer) {
        self.customer_name = customer.name.clone();
        self.phone = customer.phone.as_ref().map(ToString::to_string);
        (self.email, self.notes) = (customer.email.clone(), customer.notes.clone());
    }
}
