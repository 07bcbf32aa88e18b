//! `GET,POST,PUT /api/calendar/appointments`, `GET /api/calendar/appointments/{id}`.

mod request;

use std::sync::Arc;

use application::appointments::AppointmentFilter;
use application::appointments::views::AppointmentView;
use application::time::Stamp;
use domain::appointment::AppointmentStatus;
use domain::shared::ids::AppointmentId;
use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use crate::app::App;
use crate::error::{Change, Create, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{Answer, Made, Paged, limit_default, page};
use crate::routes::body::Body;
use crate::routes::calendar::appointments::request::{AppointmentChange, AppointmentRequest};
use crate::routes::history::{at, time};
use crate::routes::paths::Id;
use crate::security::may::{Calendar, May};

/// Appointments.
pub struct AppointmentsApi;

#[OpenApi(prefix_path = "/calendar/appointments", tag = "Group::Calendar")]
impl AppointmentsApi {
    /// List appointments
    ///
    /// The account's appointments, the earliest first. Those that only reach into the time between `from` and `to` are
    /// listed, too.
    #[oai(path = "/", method = "get", operation_id = "listAppointments")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Calendar>,
        request: &Request,
        /// That end after this time.
        from: Query<Option<String>>,
        /// That begin before this time.
        to: Query<Option<String>>,
        /// In this status.
        status: Query<Option<AppointmentStatus>>,
        /// That take this resource up.
        #[oai(name = "resourceId", validator(max_length = 100))]
        resource_id: Query<Option<String>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<AppointmentView>>, Failure<List>> {
        let filter = AppointmentFilter {
            from: time(from.as_deref())?.map(Stamp),
            to: time(to.as_deref())?.map(Stamp),
            status: *status,
            resource_id: resource_id.0,
        };
        let found = app.appointments.list(&caller.session, &filter, &page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(found, request))
    }

    /// Make an appointment
    ///
    /// For the contact behind the customer's phone, who is new if nobody has it. Buffers are kept with the appointment.
    /// While it is to come, it takes its resource up, buffers included: where another one does so at that time, it is
    /// refused (409 `slot_taken`), also when both are made at the same moment.
    #[oai(path = "/", method = "post", operation_id = "bookAppointment")]
    async fn book(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Calendar>,
        body: Body<AppointmentRequest>,
    ) -> Result<Made<AppointmentView>, Failure<Create>> {
        Ok(app.appointments.book(&caller.session, body.0.booking()?).await?.into())
    }

    /// Confirm, move, call off or conclude an appointment
    ///
    /// One that was called off, took place or was missed does not change any more. Moving it, or its end, leaves its
    /// time to others. With `expectedVersion`, the change is refused (409) when somebody else was faster.
    #[oai(path = "/", method = "put", operation_id = "changeAppointment")]
    async fn change(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Calendar>,
        body: Body<AppointmentChange>,
    ) -> Result<Answer<AppointmentView>, Failure<Change>> {
        let (id, expected) = (AppointmentId(body.id), body.expected_version);
        Ok(app.appointments.change(&caller.session, id, body.0.change()?, expected).await?.into())
    }

    /// An appointment
    ///
    /// Once the contact was erased, without whatever was theirs. With `at`, as it was then.
    #[oai(path = "/:id", method = "get", operation_id = "getAppointment")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Calendar>,
        id: Path<Id>,
        /// As it was at this time or position.
        #[oai(name = "at")]
        then: Query<Option<String>>,
    ) -> Result<Json<AppointmentView>, Failure<Read>> {
        let id = AppointmentId(id.0.0);
        Ok(Json(match at(then.as_deref())? {
            None => app.appointments.get(&caller.session, id).await?,
            Some(at) => app.past.appointment(&caller.session, id, &at).await?,
        }))
    }
}
