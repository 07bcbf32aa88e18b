//! `POST /api/auth/register`.

use std::sync::Arc;

use application::identity::registration::NewAccount;
use application::identity::users::{NewUser, UserView};
use domain::shared::preferences::Language;
use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, Failure, Register};
use crate::language;
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::answers::Made;
use crate::routes::body::Body;
use crate::routes::paths;

/// An account to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct Registration {
    /// 3 to 100 characters, no spaces.
    username: String,
    /// 8 to 200 characters.
    password: String,
    /// E-mail address; a code goes there.
    email: String,
    /// What others see; the username when absent.
    display_name: Option<String>,
    /// A phone to verify later, in E.164.
    phone: Option<String>,
    /// The language of errors and letters; the browser's when absent.
    language: Option<Language>,
}

impl Registration {
    fn account(self) -> Result<NewAccount, ApiError> {
        let phone = self.phone.as_deref().map(paths::phone).transpose()?;
        let user = NewUser {
            display_name: self.display_name.unwrap_or_else(|| self.username.clone()),
            username: self.username,
            password: self.password,
            email: self.email.trim().to_owned(),
            admin: false,
        };
        Ok(NewAccount { user, phone, language: self.language })
    }
}

/// Who was made.
#[derive(Object)]
struct Registered {
    /// The owner of the new account.
    user: UserView,
}

/// Registration.
pub struct Registrations;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl Registrations {
    /// Register an account
    ///
    /// Makes an account of one's own, and sends a code to its e-mail address. Until `POST /api/auth/verify-code` has taken
    /// the code, the account may sign in, read itself and sign out; everything else is 403 `email_unverified`. What is
    /// not verified within 7 days is deleted. A taken username is a conflict. A taken e-mail address is told to
    /// its owner alone, by a letter to it: the answer here is the same. One code a minute for one e-mail address (429).
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        app: Data<&Arc<App>>,
        _limit: SignInAllowance,
        request: &Request,
        body: Body<Registration>,
    ) -> Result<Made<Registered>, Failure<Register>> {
        let accepted = language::accepted(request.headers()).unwrap_or(Language::En);
        let user = app.verification.register(body.0.account()?, accepted).await?;
        Ok(Made::Created(Json(Registered { user }), None))
    }
}
