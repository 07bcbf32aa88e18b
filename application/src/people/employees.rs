//! Employees: people who sign in like everybody and work in somebody else's account, in what was granted to them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::access::Permission;
use domain::access::staff::{Colleague, Rights};
use domain::shared::ids::{TenantId, UserId};
use domain::shared::phone::Phone;
use domain::task::check_team;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::users::{check_display_name, check_email, check_password, check_username};
use crate::page::{Page, PageRequest};
use crate::people::People;
use crate::time::Stamp;

/// Employees of an account at most.
pub const EMPLOYEES_MAX: i64 = 1_000;

/// Somebody who works in the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", rename = "Employee", skip_serializing_if_is_none))]
pub struct EmployeeView {
    /// Their id; conversations they claim and tasks they are given carry it.
    pub id: Uuid,
    /// What they sign in with.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// E-mail address.
    pub email: String,
    /// Phone in E.164.
    pub phone: Option<String>,
    /// The team they belong to; they see its tasks.
    pub team: Option<String>,
    /// What they may do.
    pub permissions: Vec<Permission>,
    /// Whether they may sign in.
    pub active: bool,
    /// When they joined.
    pub created_at: Stamp,
}

impl EmployeeView {
    fn colleague(&self) -> Colleague<'_> {
        Colleague { id: UserId(self.id), granted: &self.permissions, active: self.active }
    }
}

/// An employee to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEmployee {
    /// 3 to 100 characters, no spaces.
    pub username: String,
    /// 8 to 200 characters.
    pub password: String,
    /// What others see.
    pub display_name: String,
    /// E-mail address.
    pub email: String,
    /// Phone.
    pub phone: Option<Phone>,
    /// The team they belong to.
    pub team: Option<String>,
    /// What they may do.
    pub permissions: Vec<Permission>,
    /// Whether they may sign in.
    pub active: bool,
}

impl NewEmployee {
    fn check(&self) -> AppResult<()> {
        check_username(&self.username)?;
        check_password(&self.password)?;
        check_email(&self.email)?;
        check_display_name(&self.display_name)?;
        Ok(self.team.as_deref().map_or(Ok(()), check_team)?)
    }
}

/// What is changed of an employee; absent parts stay as they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EmployeeChange {
    /// 8 to 200 characters; ends every session of theirs.
    pub password: Option<String>,
    /// What others see.
    pub display_name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone, or none.
    pub phone: Option<Option<Phone>>,
    /// The team they belong to, or none.
    pub team: Option<Option<String>>,
    /// What they may do, all of it.
    pub permissions: Option<Vec<Permission>>,
    /// Whether they may sign in; not to ends every session of theirs.
    pub active: Option<bool>,
}

impl EmployeeChange {
    fn check(&self) -> AppResult<()> {
        self.password.as_deref().map_or(Ok(()), check_password)?;
        self.email.as_deref().map_or(Ok(()), check_email)?;
        self.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        Ok(self.team.iter().flatten().try_for_each(|team| check_team(team))?)
    }

    fn rights(&self) -> Rights<'_> {
        Rights { granted: self.permissions.as_deref(), active: self.active }
    }
}

/// Which employees are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmployeeFilter {
    /// Of this team.
    pub team: Option<String>,
    /// Who may sign in, or who may not.
    pub active: Option<bool>,
}

/// Employees; every change with an audit entry in the same transaction. Whoever was deleted is not there.
#[async_trait]
pub trait Employees: Send + Sync {
    /// The account's employees, in the order they joined.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &EmployeeFilter,
        page: &PageRequest,
    ) -> AppResult<Page<EmployeeView>>;
    /// One of them.
    async fn get(&self, tenant: TenantId, id: UserId) -> AppResult<Option<EmployeeView>>;
    /// Makes one. A taken name is a conflict, and so is one employee too many.
    async fn create(
        &self,
        session: &Session,
        id: UserId,
        new: &NewEmployee,
        password_hash: &str,
        at: DateTime<Utc>,
    ) -> AppResult<EmployeeView>;
    /// Changes one whose rights are still as they were `seen`; `None` when they are not. A new password and the loss
    /// of `active` end their sessions.
    async fn change(
        &self,
        session: &Session,
        seen: &EmployeeView,
        change: &EmployeeChange,
        password_hash: Option<&str>,
    ) -> AppResult<Option<EmployeeView>>;
    /// Removes one whose rights are still as they were `seen`, with their sessions; false when they are not.
    async fn delete(&self, session: &Session, seen: &EmployeeView) -> AppResult<bool>;
}

impl People {
    /// The account's employees.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn employees(
        &self,
        session: &Session,
        filter: &EmployeeFilter,
        page: &PageRequest,
    ) -> AppResult<Page<EmployeeView>> {
        self.employees.list(session.tenant, filter, page).await
    }

    /// One of them.
    ///
    /// # Errors
    /// Not there.
    pub async fn employee(&self, session: &Session, id: UserId) -> AppResult<EmployeeView> {
        self.employees.get(session.tenant, id).await?.ok_or(AppError::NotFound("employee"))
    }

    /// Makes an employee.
    ///
    /// # Errors
    /// A field breaks a bound, the name is taken, or what is granted is not held.
    pub async fn hire(&self, session: &Session, new: NewEmployee) -> AppResult<EmployeeView> {
        session.access.grants(&new.permissions)?;
        new.check()?;
        let hash = self.passwords.hash(new.password.clone()).await?;
        self.employees.create(session, UserId(self.ids.new_id()), &new, &hash, self.clock.now()).await
    }

    /// Changes an employee. Whoever sees to people changes nobody above them, and not what they themselves may do.
    ///
    /// # Errors
    /// Not there, not theirs to change so, a field breaks a bound, or somebody else changed their rights meanwhile.
    pub async fn change_employee(
        &self,
        session: &Session,
        id: UserId,
        change: EmployeeChange,
    ) -> AppResult<EmployeeView> {
        let seen = self.employee(session, id).await?;
        session.access.changes(session.user, seen.colleague(), change.rights())?;
        change.check()?;
        let hash = match &change.password {
            Some(password) => Some(self.passwords.hash(password.clone()).await?),
            None => None,
        };
        self.employees.change(session, &seen, &change, hash.as_deref()).await?.ok_or_else(contended)
    }

    /// Removes an employee. What they did stays in the history, with their id.
    ///
    /// # Errors
    /// Not there, not theirs to remove, or somebody else changed their rights meanwhile.
    pub async fn dismiss(&self, session: &Session, id: UserId) -> AppResult<()> {
        let seen = self.employee(session, id).await?;
        session.access.removes(session.user, seen.colleague())?;
        if self.employees.delete(session, &seen).await? { Ok(()) } else { Err(contended()) }
    }
}

fn contended() -> AppError {
    AppError::conflict("contended", &"somebody else changed this employee's rights meanwhile; look again")
}
