//! `GET,POST /api/users`, `GET,PUT,DELETE /api/users/{id}`.

use std::sync::Arc;

use application::identity::users::UserView;
use application::identity::users::{NewUser, UserChange};
use domain::shared::ids::UserId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{BareChange, Change, Create, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{DONE, Done, Made, Paged, limit_default, page};
use crate::routes::body::Body;
use crate::routes::paths::Id;
use crate::security::may::{Administrator, May, Person};

/// What a person may do.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
enum Role {
    /// Uses their own account.
    User,
    /// Administers the installation as well.
    Admin,
}

/// A person to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct NewUserRequest {
    /// 3 to 100 characters, no spaces.
    username: String,
    /// 8 to 200 characters.
    password: String,
    /// E-mail address.
    email: String,
    /// What others see; the username when absent.
    display_name: Option<String>,
    /// `user` when absent.
    role: Option<Role>,
}

impl From<NewUserRequest> for NewUser {
    fn from(new: NewUserRequest) -> Self {
        Self {
            display_name: new.display_name.unwrap_or_else(|| new.username.clone()),
            username: new.username,
            password: new.password,
            email: new.email,
            admin: new.role == Some(Role::Admin),
        }
    }
}

/// What is changed of a person; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct UserChangeRequest {
    /// 8 to 200 characters; ends every session of theirs but the one they ask from.
    password: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// What others see.
    display_name: Option<String>,
    /// The account's time zone, an IANA name.
    timezone: Option<String>,
    /// Administrators only.
    role: Option<Role>,
    /// Whether the account may use API credentials. Administrators only.
    api_access_approved: Option<bool>,
}

impl From<UserChangeRequest> for UserChange {
    fn from(change: UserChangeRequest) -> Self {
        let role = change.role.map(|role| if role == Role::Admin { "admin" } else { "user" }.to_owned());
        Self {
            password: change.password,
            email: change.email,
            display_name: change.display_name,
            timezone: change.timezone,
            role,
            api_access_approved: change.api_access_approved,
        }
    }
}

/// People.
pub struct UsersApi;

#[OpenApi(prefix_path = "/users", tag = "Group::Admin")]
impl UsersApi {
    /// List people
    ///
    /// Every account's owner, in the order they joined. Administrators only. Employees are listed by their account,
    /// at `GET /api/employees`, and API clients are no people.
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        request: &Request,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<UserView>>, Failure<List>> {
        let rows = app.identity.users(&page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(rows, request))
    }

    /// Add a person
    ///
    /// Makes a person, who is an account of their own. Administrators only; a taken username is a conflict.
    #[oai(path = "/", method = "post", operation_id = "createUser")]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        admin: May<Administrator>,
        body: Body<NewUserRequest>,
    ) -> Result<Made<UserView>, Failure<Create>> {
        let user = app.identity.create_user(&admin.session, body.0.into()).await?;
        Ok(Made::Created(Json(user), None))
    }

    /// A person
    ///
    /// Oneself, or any account's owner for an administrator; others are not found.
    #[oai(path = "/:id", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        id: Path<Id>,
    ) -> Result<Json<UserView>, Failure<Read>> {
        Ok(Json(app.identity.user(&caller.session, UserId(id.0.0)).await?))
    }

    /// Change a person
    ///
    /// Oneself, or any account's owner for an administrator. Everybody changes their own name, e-mail address and
    /// password, an owner the account's time zone as well; role and API approval are an administrator's to change. A
    /// field that is not the caller's to change refuses the whole change (403). A new password ends every session of
    /// that person, but for the one they ask from themselves; the last administrator stays one (409).
    #[oai(path = "/:id", method = "put", operation_id = "updateUser")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        id: Path<Id>,
        body: Body<UserChangeRequest>,
    ) -> Result<Json<UserView>, Failure<Change>> {
        Ok(Json(app.identity.change_user(&caller.session, UserId(id.0.0), body.0.into()).await?))
    }
    /// Delete an account
    ///
    /// Administrators only, and not themselves or the last of them (409). In one step, its owner and employees are
    /// signed out and sign in no more, its API key is worth nothing, its lines and their secrets are gone, its flows
    /// start no more; messages that wait become dead letters that say why. Other nodes follow within 5 seconds. What
    /// happened stays: administrators read the account's log and audit entries with `account`. The usernames are free.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        admin: May<Administrator>,
        id: Path<Id>,
    ) -> Result<Json<Done>, Failure<BareChange>> {
        app.identity.delete_user(&admin.session, UserId(id.0.0)).await?;
        Ok(DONE)
    }
}
