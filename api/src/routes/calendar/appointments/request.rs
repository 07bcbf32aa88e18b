//! Appointments as callers ask for them.

use application::time::Stamp;
use domain::appointment::command::{Booking, Change, Length, Move};
use domain::appointment::{BookingSource, Buffers, CancelledBy, Customer, Service};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use uuid::Uuid;

use crate::error::ApiError;
use crate::routes::body::patch;
use crate::routes::paths::phone;

/// An appointment that is to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppointmentRequest {
    /// The id of what the customer comes for, at most 100 characters. `serviceName` may be given instead, or as well.
    service_id: Option<String>,
    /// What people call what the customer comes for, at most 200 characters.
    service_name: Option<String>,
    /// When it begins, at a whole minute.
    start: Stamp,
    /// When it ends, at a whole minute; or give `durationMinutes`.
    end: Option<Stamp>,
    /// Minutes it takes, 1 to 44 640; or give `end`.
    duration_minutes: Option<u32>,
    /// The IANA time zone to show it in, such as `Asia/Jerusalem`.
    timezone: String,
    /// What it takes up: a person, a room, a chair; at most 100 characters. Without one, it is in nobody's way.
    resource_id: Option<String>,
    /// Minutes before its beginning that nothing else takes the resource up, at most 1 440; none when absent.
    buffer_before_minutes: Option<u32>,
    /// Minutes after its end that nothing else takes the resource up, at most 1 440; none when absent.
    buffer_after_minutes: Option<u32>,
    /// The customer's name, at most 200 characters.
    customer_name: String,
    /// The customer's phone, in international form.
    phone: String,
    /// The customer's e-mail address.
    email: Option<String>,
    /// Whatever else there is to say, at most 4 000 characters.
    notes: Option<String>,
}

impl AppointmentRequest {
    /// What it asks for.
    ///
    /// # Errors
    /// The phone is none, or its length is told twice or not at all.
    pub fn booking(self) -> Result<Booking, ApiError> {
        let length = length(self.end, self.duration_minutes)?;
        let length = length.ok_or_else(|| refusal("`end` or `durationMinutes` is required"))?;
        Ok(Booking {
            source: BookingSource::Staff,
            service: Service { id: self.service_id, name: self.service_name },
            start: self.start.0,
            length,
            timezone: self.timezone,
            resource_id: self.resource_id,
            buffers: Buffers {
                before_minutes: self.buffer_before_minutes.unwrap_or_default(),
                after_minutes: self.buffer_after_minutes.unwrap_or_default(),
            },
            customer: Customer {
                name: Some(self.customer_name),
                phone: Some(phone(&self.phone)?),
                email: self.email,
                notes: self.notes,
            },
        })
    }
}

/// What becomes of an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AppointmentAction {
    /// It is confirmed.
    Confirm,
    /// It is moved to another time, or to another resource.
    Reschedule,
    /// It is called off.
    Cancel,
    /// It took place.
    Complete,
    /// The customer did not come.
    NoShow,
}

/// Who calls an appointment off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum CallsOff {
    /// The account.
    Staff,
    /// The customer, who told the account.
    Customer,
}

/// A change of an appointment.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppointmentChange {
    /// The appointment.
    pub id: Uuid,
    /// What becomes of it.
    action: AppointmentAction,
    /// `reschedule`: when it begins.
    start: Option<Stamp>,
    /// `reschedule`: when it ends; it takes as long as before when neither this nor `durationMinutes` is given.
    end: Option<Stamp>,
    /// `reschedule`: minutes it takes.
    duration_minutes: Option<u32>,
    /// `reschedule`: the IANA time zone to show it in; as before when absent.
    timezone: Option<String>,
    /// `reschedule`: what it takes up; as before when absent, nothing with `null`.
    resource_id: MaybeUndefined<String>,
    /// `cancel`: why, at most 1 000 characters.
    reason: Option<String>,
    /// `cancel`: who calls it off; the account when absent.
    cancelled_by: Option<CallsOff>,
    /// The `version` the change was made on; another one by now is a conflict.
    pub expected_version: Option<u32>,
}

impl AppointmentChange {
    /// What it asks for.
    ///
    /// # Errors
    /// Something is missing, or belongs to another action.
    pub fn change(self) -> Result<Change, ApiError> {
        self.check()?;
        Ok(match self.action {
            AppointmentAction::Confirm => Change::Confirm,
            AppointmentAction::Reschedule => Change::Reschedule(Move {
                start: self.start.ok_or_else(|| refusal("`reschedule` takes a `start`"))?.0,
                length: length(self.end, self.duration_minutes)?,
                timezone: self.timezone,
                resource_id: patch(self.resource_id),
            }),
            AppointmentAction::Cancel => {
                let by = match self.cancelled_by {
                    Some(CallsOff::Customer) => CancelledBy::Customer,
                    Some(CallsOff::Staff) | None => CancelledBy::Staff,
                };
                Change::Cancel { by, reason: self.reason }
            }
            AppointmentAction::Complete => Change::Complete,
            AppointmentAction::NoShow => Change::NoShow,
        })
    }

    /// Whoever sends a new time with another action means something that would not happen.
    fn check(&self) -> Result<(), ApiError> {
        let times = [self.start, self.end].iter().any(Option::is_some) || self.duration_minutes.is_some();
        let moves = times || self.timezone.is_some() || !self.resource_id.is_undefined();
        let calls_off = self.reason.is_some() || self.cancelled_by.is_some();
        if moves && self.action != AppointmentAction::Reschedule {
            return Err(refusal("a time, time zone and resource belong to `reschedule` alone"));
        }
        if calls_off && self.action != AppointmentAction::Cancel {
            return Err(refusal("`reason` and `cancelledBy` belong to `cancel` alone"));
        }
        Ok(())
    }
}

fn length(end: Option<Stamp>, minutes: Option<u32>) -> Result<Option<Length>, ApiError> {
    match (end, minutes) {
        (Some(_), Some(_)) => Err(refusal("give `end` or `durationMinutes`, not both")),
        (Some(end), None) => Ok(Some(Length::Until(end.0))),
        (None, minutes) => Ok(minutes.map(Length::Minutes)),
    }
}

fn refusal(words: &str) -> ApiError {
    ApiError::invalid("invalid_request", words)
}
