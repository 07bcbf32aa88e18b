//! `POST /api/auth/login`, `POST /api/auth/logout`, `GET /api/auth/me`.

use std::sync::Arc;

use application::identity::SESSION_TTL;
use application::identity::users::UserView;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::app::App;
use crate::error::{Failure, Own, SignIn};
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::answers::{DONE, Done};
use crate::routes::body::Body;
use crate::security::COOKIE;
use crate::security::may::{Anyone, May};

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
struct Me {
    /// The person.
    user: UserView,
}

#[derive(ApiResponse)]
enum LoggedIn {
    /// Signed in; the cookie carries the session.
    #[oai(status = 200)]
    Ok(
        Json<Me>,
        /// `wdf_token`, HTTP-only, for 12 hours.
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

/// Sessions.
pub struct Sessions;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl Sessions {
    /// Sign in
    ///
    /// Checks name and password and sets the HTTP-only session cookie `wdf_token`, which every operation
    /// takes. Successful attempts count as well. After five failures for one name the next attempts wait for each
    /// other, up to 30 s, whoever makes them; networks the person signed in from before wait for their own alone.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        app: Data<&Arc<App>>,
        allowance: SignInAllowance,
        body: Body<Login>,
    ) -> Result<LoggedIn, Failure<SignIn>> {
        let attempt = app.identity.log_in(&body.username, &body.password);
        let issued = app.turns.sign_in(&body.username, &allowance.network, attempt).await?;
        let cookie = cookie(&issued.token, SESSION_TTL.num_seconds(), app.secure_cookies);
        Ok(LoggedIn::Ok(Json(Me { user: issued.user }), cookie))
    }

    /// Sign out
    ///
    /// Ends the session: the token in the cookie is refused from now on, wherever it was copied to.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, app: Data<&Arc<App>>, caller: May<Anyone>) -> Result<LoggedOut, Failure<Own>> {
        app.identity.log_out(&caller.token).await?;
        Ok(LoggedOut::Ok(DONE, cookie("", 0, app.secure_cookies)))
    }

    /// Who is signed in
    ///
    /// The person behind the cookie or the token. Their id is also the id of their account.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn me(&self, app: Data<&Arc<App>>, caller: May<Anyone>) -> Result<Json<Me>, Failure<Own>> {
        Ok(Json(Me { user: app.identity.me(&caller.session).await? }))
    }
}

fn cookie(token: &str, max_age_sec: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; Max-Age={max_age_sec}; HttpOnly; SameSite=Lax{secure}")
}
