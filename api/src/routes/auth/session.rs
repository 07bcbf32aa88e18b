//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use std::sync::Arc;

use application::identity::sessions::IDLE_MAX;
use application::identity::users::UserView;
use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::app::App;
use crate::error::{Failure, Own, SignIn};
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::answers::{DONE, Done};
use crate::routes::body::Body;
use crate::security::may::{Anyone, May};
use crate::security::site::{OwnPage, cookie};

/// Name and password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Login {
    /// The username.
    #[oai(validator(max_length = 200))]
    username: String,
    /// The password.
    #[oai(validator(max_length = 1000))]
    password: String,
}

/// Who is signed in.
#[derive(Object)]
pub struct Me {
    /// The person.
    pub user: UserView,
}

#[derive(ApiResponse)]
enum LoggedIn {
    /// Signed in; the cookie carries the session.
    #[oai(status = 200)]
    Ok(
        Json<Me>,
        /// `wdf_token`, HTTP-only, for 12 hours from its last use and 30 days in all.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[derive(ApiResponse)]
enum LoggedOut {
    /// Signed out; the cookie is cleared.
    #[oai(status = 200)]
    Ok(
        Json<Done>,
        /// An empty `wdf_token` that ends at once.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// Signing in and out.
pub struct SignIns;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl SignIns {
    /// Sign in
    ///
    /// Checks name and password and sets the HTTP-only session cookie `wdf_token`, which every operation
    /// takes. The session ends 12 hours after its last use, at the latest after 30 days; while it is used, answers set
    /// the cookie anew from time to time. Successful attempts count as well. After five failures for one name the next
    /// attempts wait for each other, up to 30 s, whoever makes them; networks the person signed in from before wait for
    /// their own alone. Another site's page may not sign anybody in.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        app: Data<&Arc<App>>,
        page: OwnPage,
        allowance: SignInAllowance,
        body: Body<Login>,
    ) -> Result<LoggedIn, Failure<SignIn>> {
        let attempt = app.identity.log_in(&body.username, &body.password, page.from);
        let issued = app.turns.sign_in(&body.username, &allowance.network, attempt).await?;
        let cookie = cookie(&issued.token, IDLE_MAX.num_seconds(), page.secure);
        Ok(LoggedIn::Ok(Json(Me { user: issued.user }), cookie))
    }

    /// Sign out
    ///
    /// Ends the session: the token in the cookie is refused from now on, wherever it was copied to.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        app: Data<&Arc<App>>,
        request: &Request,
        caller: May<Anyone>,
    ) -> Result<LoggedOut, Failure<Own>> {
        app.identity.log_out(&caller.token).await?;
        Ok(LoggedOut::Ok(DONE, cookie("", 0, app.site.is_secure(request.headers()))))
    }

    /// Who is signed in
    ///
    /// The person behind the cookie or the token, the account they work in, and what this session may do there: for
    /// an owner everything, for an employee what was granted, for an API client its scopes.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn me(&self, app: Data<&Arc<App>>, caller: May<Anyone>) -> Result<Json<Me>, Failure<Own>> {
        Ok(Json(Me { user: app.identity.me(&caller.session).await? }))
    }
}
