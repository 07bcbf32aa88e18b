//! `GET,POST /api/employees`, `GET,PUT,DELETE /api/employees/{id}`.

use std::sync::Arc;

use application::people::employees::{EmployeeChange, EmployeeFilter, EmployeeView, NewEmployee};
use domain::access::Permission;
use domain::shared::ids::UserId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, BareChange, Change, Create, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{DONE, Done, Made, Paged, limit_default, page};
use crate::routes::body::{Body, patch};
use crate::routes::paths::{Id, phone};
use crate::security::may::{May, People};

/// An employee to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct NewEmployeeRequest {
    /// What they sign in with: 3 to 100 characters, no spaces.
    username: String,
    /// 8 to 200 characters.
    password: String,
    /// What others see; the username when absent.
    display_name: Option<String>,
    /// E-mail address.
    email: String,
    /// Phone, in international form.
    phone: Option<String>,
    /// The team they belong to; they see its tasks.
    team: Option<String>,
    /// What they may do; nothing when absent.
    #[oai(default)]
    permissions: Vec<Permission>,
    /// Whether they may sign in.
    #[oai(default = "yes")]
    active: bool,
}

fn yes() -> bool {
    true
}

impl TryFrom<NewEmployeeRequest> for NewEmployee {
    type Error = ApiError;

    fn try_from(new: NewEmployeeRequest) -> Result<Self, ApiError> {
        Ok(Self {
            display_name: new.display_name.unwrap_or_else(|| new.username.clone()),
            username: new.username,
            password: new.password,
            email: new.email,
            phone: new.phone.as_deref().map(phone).transpose()?,
            team: new.team,
            permissions: new.permissions,
            active: new.active,
        })
    }
}

/// What is changed of an employee; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct EmployeeChangeRequest {
    /// 8 to 200 characters; ends every session of theirs.
    password: Option<String>,
    /// What others see.
    display_name: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// Phone, in international form; `null` removes it.
    phone: MaybeUndefined<String>,
    /// The team they belong to; `null` takes them out of it.
    team: MaybeUndefined<String>,
    /// All they may do from now on.
    permissions: Option<Vec<Permission>>,
    /// Whether they may sign in; `false` ends every session of theirs.
    active: Option<bool>,
}

impl TryFrom<EmployeeChangeRequest> for EmployeeChange {
    type Error = ApiError;

    fn try_from(change: EmployeeChangeRequest) -> Result<Self, ApiError> {
        Ok(Self {
            password: change.password,
            display_name: change.display_name,
            email: change.email,
            phone: patch(change.phone).map(|it| it.as_deref().map(phone).transpose()).transpose()?,
            team: patch(change.team),
            permissions: change.permissions,
            active: change.active,
        })
    }
}

/// Employees.
pub struct EmployeesApi;

#[OpenApi(prefix_path = "/employees", tag = "Group::Admin")]
impl EmployeesApi {
    /// List employees
    ///
    /// Who works in the account, in the order they joined; the owner is none of them.
    #[oai(path = "/", method = "get", operation_id = "listEmployees")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<People>,
        request: &Request,
        /// Of this team.
        #[oai(validator(max_length = 100))]
        team: Query<Option<String>>,
        /// Who may sign in, or who may not.
        active: Query<Option<bool>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<EmployeeView>>, Failure<List>> {
        let filter = EmployeeFilter { team: team.0, active: *active };
        let found = app.people.employees(&caller.session, &filter, &page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(found, request))
    }

    /// Add an employee
    ///
    /// Makes a person who signs in like everybody and works in this account, in what `permissions` allow. Nobody
    /// grants what they do not hold (403); a taken username is a conflict.
    #[oai(path = "/", method = "post", operation_id = "createEmployee")]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: May<People>,
        body: Body<NewEmployeeRequest>,
    ) -> Result<Made<EmployeeView>, Failure<Create>> {
        let made = app.people.hire(&caller.session, body.0.try_into()?).await?;
        Ok(Made::Created(Json(made), None))
    }

    /// An employee
    ///
    /// Of the caller's account; others are not found.
    #[oai(path = "/:id", method = "get", operation_id = "getEmployee")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<People>,
        id: Path<Id>,
    ) -> Result<Json<EmployeeView>, Failure<Read>> {
        Ok(Json(app.people.employee(&caller.session, UserId(id.0.0)).await?))
    }

    /// Change an employee
    ///
    /// Absent parts stay as they are. An employee who may see to people changes nobody who holds a permission they do
    /// not hold, grants none of those, and leaves their own permissions and `active` alone (403). Permissions count
    /// on every node within 5 seconds; a new password and `active: false` end every session of theirs.
    #[oai(path = "/:id", method = "put", operation_id = "updateEmployee")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<People>,
        id: Path<Id>,
        body: Body<EmployeeChangeRequest>,
    ) -> Result<Json<EmployeeView>, Failure<Change>> {
        Ok(Json(app.people.change_employee(&caller.session, UserId(id.0.0), body.0.try_into()?).await?))
    }

    /// Remove an employee
    ///
    /// Ends every session of theirs, and frees their username. Conversations they had claimed are released within
    /// moments: others may claim them, and flows answer there again. What they did and were given stays, with their
    /// id. Nobody removes themselves (409), or somebody above them (403).
    #[oai(path = "/:id", method = "delete", operation_id = "deleteEmployee")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        caller: May<People>,
        id: Path<Id>,
    ) -> Result<Json<Done>, Failure<BareChange>> {
        app.people.dismiss(&caller.session, UserId(id.0.0)).await?;
        Ok(DONE)
    }
}
