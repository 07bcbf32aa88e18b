//! People: accounts' owners and administrators, and what everybody may change of themselves.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::access::staff::StaffError;
use domain::access::{Access, Need, Permission};
use domain::reason;
use domain::shared::ids::UserId;
use domain::shared::preferences::{Language, Theme};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult, length, not_an_email};
use crate::identity::Identity;
use crate::page::{Page, PageRequest};
use crate::time::Stamp;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct UserView {
    /// The id; also the id of the account this person owns.
    pub id: Uuid,
    /// The account they work in: their own, or for an employee the owner's.
    pub account_id: Uuid,
    /// What they sign in with.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// E-mail address.
    pub email: String,
    /// Whether they proved that they read mail there.
    pub email_verified: bool,
    /// Phone, in E.164.
    pub phone: Option<String>,
    /// Whether they proved that it is theirs.
    pub phone_verified: bool,
    /// `user` for an account's owner, `admin`, or `employee`.
    pub role: String,
    /// What they may do in the account: everything, but for employees.
    pub permissions: Vec<Permission>,
    /// The account's time zone, an IANA name.
    pub timezone: String,
    /// The language they chose for errors and letters; none means the browser's.
    pub language: Option<Language>,
    /// How they want the user interface to look.
    pub theme: Theme,
    /// Whether an administrator allowed the account to use API credentials.
    pub api_access_approved: bool,
    /// When they joined.
    pub created_at: Stamp,
}

/// A person to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// 3 to 100 characters, no spaces.
    pub username: String,
    /// 8 to 200 characters.
    pub password: String,
    /// E-mail address.
    pub email: String,
    /// What others see.
    pub display_name: String,
    /// Whether they administer the installation.
    pub admin: bool,
}

impl NewUser {
    /// # Errors
    /// A field breaks a bound.
    pub fn check(&self) -> AppResult<()> {
        check_username(&self.username)?;
        check_password(&self.password)?;
        check_email(&self.email)?;
        check_display_name(&self.display_name)
    }
}

/// Which field of a person a change names, and what it takes to set it.
type Right = (&'static str, fn(&UserChange) -> bool, Need);

/// Who may set what of a person they may change at all: themselves, or anybody's for an administrator. What no row
/// names is set by nobody.
const RIGHTS: [Right; 6] = [
    ("displayName", |it| it.display_name.is_some(), Need::Person),
    ("email", |it| it.email.is_some(), Need::Person),
    ("password", |it| it.password.is_some(), Need::Person),
    ("timezone", |it| it.timezone.is_some(), Need::Owner),
    ("role", |it| it.role.is_some(), Need::Administrator),
    ("apiAccessApproved", |it| it.api_access_approved.is_some(), Need::Administrator),
];

/// What is changed of a person; absent parts stay as they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// 8 to 200 characters; ends every session of theirs but the one they ask from.
    pub password: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// What others see.
    pub display_name: Option<String>,
    /// An IANA name.
    pub timezone: Option<String>,
    /// `user` or `admin`.
    pub role: Option<String>,
    /// Whether API credentials may be used.
    pub api_access_approved: Option<bool>,
}

impl UserChange {
    /// # Errors
    /// It names a field that is not theirs to set.
    pub fn check_rights(&self, access: &Access) -> AppResult<()> {
        match RIGHTS.iter().find(|(_, names, need)| names(self) && !access.meets(*need)) {
            Some((field, ..)) => Err(AppError::Forbidden(format!("`{field}` is not yours to change"))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// A field breaks a bound.
    pub fn check(&self) -> AppResult<()> {
        self.password.as_deref().map_or(Ok(()), check_password)?;
        self.email.as_deref().map_or(Ok(()), check_email)?;
        self.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        if self.role.as_deref().is_some_and(|role| !matches!(role, "user" | "admin")) {
            return Err(AppError::field("role", reason!("one_of", "is one of {allowed}", allowed = "user, admin")));
        }
        if self.timezone.as_deref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
            let reason = reason!("not_a_time_zone", "is an IANA name such as Asia/Jerusalem");
            return Err(AppError::field("timezone", reason));
        }
        Ok(())
    }
}

/// Whether one may be called so.
///
/// # Errors
/// One may not.
pub fn check_username(username: &str) -> AppResult<()> {
    let good = (3..=100).contains(&username.chars().count()) && !username.contains(char::is_whitespace);
    let reason = || reason!("username", "has {min} to {max} characters and no spaces", min = 3, max = 100);
    if good { Ok(()) } else { Err(AppError::field("username", reason())) }
}

/// Whether it is long enough for a password, and not too long.
///
/// # Errors
/// It is not.
pub fn check_password(password: &str) -> AppResult<()> {
    let good = (8..=200).contains(&password.chars().count());
    if good { Ok(()) } else { Err(AppError::field("password", length(8, 200))) }
}

/// Whether it looks like an e-mail address.
///
/// # Errors
/// It does not.
pub fn check_email(email: &str) -> AppResult<()> {
    let good = email.len() <= 254
        && !email.contains(char::is_whitespace)
        && email.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.'));
    if good { Ok(()) } else { Err(AppError::field("email", not_an_email(email))) }
}

/// Whether one may be shown so.
///
/// # Errors
/// One may not.
pub fn check_display_name(name: &str) -> AppResult<()> {
    let good = (1..=200).contains(&name.chars().count());
    if good { Ok(()) } else { Err(AppError::field("displayName", length(1, 200))) }
}

/// People; every change with an audit entry in the same transaction. Whoever was deleted is not there.
#[async_trait]
pub trait Users: Send + Sync {
    /// The person with this name and their password's hash, if they may sign in.
    async fn credentials(&self, username: &str) -> AppResult<Option<(UserView, String)>>;
    /// One person.
    async fn get(&self, id: UserId) -> AppResult<Option<UserView>>;
    /// Every account's owner, in the order they joined.
    async fn list(&self, page: &PageRequest) -> AppResult<Page<UserView>>;
    /// Makes a person. A taken name is a conflict. `by` is absent on the command line.
    async fn create(
        &self,
        by: Option<&Session>,
        id: UserId,
        new: &NewUser,
        password_hash: &str,
        at: DateTime<Utc>,
    ) -> AppResult<UserView>;
    /// Changes a person; a new password ends their sessions, but for the one they ask from. The last administrator
    /// stays one.
    async fn change(
        &self,
        session: &Session,
        id: UserId,
        change: &UserChange,
        password_hash: Option<&str>,
    ) -> AppResult<UserView>;
    /// Closes an account: its owner and employees are nobody from now on, its lines and what waits for them are gone.
    /// The last administrator stays.
    async fn delete(&self, session: &Session, id: UserId) -> AppResult<()>;
}

impl Identity {
    /// The person behind a session, with what this session may do.
    ///
    /// # Errors
    /// They are gone.
    pub async fn me(&self, session: &Session) -> AppResult<UserView> {
        let user = self.users.get(session.user).await?.ok_or(AppError::NotFound("user"))?;
        Ok(UserView { permissions: session.access.held(), ..user })
    }

    /// Makes a person, who is an account of their own.
    ///
    /// # Errors
    /// A field breaks a bound, or the name is taken.
    pub async fn create_user(&self, session: &Session, new: NewUser) -> AppResult<UserView> {
        self.add_user(Some(session), new).await
    }

    /// Makes a person; from the command line when nobody is signed in.
    ///
    /// # Errors
    /// A field breaks a bound, or the name is taken.
    pub async fn add_user(&self, by: Option<&Session>, new: NewUser) -> AppResult<UserView> {
        new.check()?;
        let hash = self.passwords.hash(new.password.clone()).await?;
        let id = UserId(self.ids.new_id());
        self.users.create(by, id, &new, &hash, self.clock.now()).await
    }

    /// A person: oneself, or any account's owner for an administrator. Employees are found among their account's.
    ///
    /// # Errors
    /// Not there, or not for who asks.
    pub async fn user(&self, session: &Session, id: UserId) -> AppResult<UserView> {
        if session.user != id && !session.is_admin() {
            return Err(AppError::NotFound("user"));
        }
        let found = self.users.get(id).await?.filter(|user| session.user == id || user.account_id == user.id);
        found.ok_or(AppError::NotFound("user"))
    }

    /// Every account's owner, in the order they joined.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn users(&self, page: &PageRequest) -> AppResult<Page<UserView>> {
        self.users.list(page).await
    }

    /// Changes a person, in what is theirs to change.
    ///
    /// # Errors
    /// Not there, or not for who asks, or a field breaks a bound.
    pub async fn change_user(&self, session: &Session, id: UserId, change: UserChange) -> AppResult<UserView> {
        let user = self.user(session, id).await?;
        change.check_rights(&session.access)?;
        change.check()?;
        let hash = match &change.password {
            Some(password) => Some(self.passwords.hash(password.clone()).await?),
            None => None,
        };
        self.users.change(session, UserId(user.id), &change, hash.as_deref()).await
    }

    /// Closes an account, for an administrator.
    ///
    /// # Errors
    /// Not there, oneself, or the last administrator.
    pub async fn delete_user(&self, session: &Session, id: UserId) -> AppResult<()> {
        if session.user == id {
            return Err(StaffError::Oneself.into());
        }
        self.user(session, id).await?;
        self.users.delete(session, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::Role;

    #[test]
    fn what_somebody_may_set_of_themselves_follows_from_what_they_are() {
        let all = UserChange {
            password: Some(String::new()),
            email: Some(String::new()),
            display_name: Some(String::new()),
            timezone: Some(String::new()),
            role: Some(String::new()),
            api_access_approved: Some(true),
        };
        let own = UserChange { timezone: None, role: None, api_access_approved: None, ..all.clone() };
        let owners = UserChange { timezone: Some(String::new()), ..own.clone() };
        for (role, may) in [
            (Role::Admin, [true, true, true]),
            (Role::Owner, [true, true, false]),
            (Role::Employee, [true, false, false]),
            (Role::Client, [false, false, false]),
        ] {
            let access = Access { role, granted: Permission::ALL.to_vec(), verified: true };
            let checked = [&own, &owners, &all].map(|change| change.check_rights(&access).is_ok());
            assert_eq!(checked, may, "{role}");
            assert!(UserChange::default().check_rights(&access).is_ok());
        }
    }
}
