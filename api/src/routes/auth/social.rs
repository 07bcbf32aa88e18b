//! `POST /api/auth/social`.

use std::sync::Arc;

use application::identity::sessions::IDLE_MAX;
use application::identity::social::{self, Credential, Outcome};
use poem::Request;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, Failure, SocialSignIn};
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::auth::session::Me;
use crate::routes::body::Body;
use crate::security::Caller;
use crate::security::site::{OwnPage, cookie};

/// Who vouches for somebody.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
enum Provider {
    /// Google.
    Google,
    /// Facebook.
    Facebook,
}

/// What the provider gave the person: one of the two tokens.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct SocialLogin {
    /// Who vouches.
    provider: Provider,
    /// The signed statement about the person: Google's ID token, or the token of Facebook's Limited Login.
    #[oai(validator(max_length = 8192))]
    id_token: Option<String>,
    /// Facebook's access token.
    #[oai(validator(max_length = 4096))]
    access_token: Option<String>,
}

impl SocialLogin {
    fn credential(self) -> Result<Credential, ApiError> {
        match (self.id_token, self.access_token) {
            (Some(token), None) => Ok(Credential::IdToken(token)),
            (None, Some(token)) => Ok(Credential::AccessToken(token)),
            _ => Err(ApiError::invalid("invalid_request", "send idToken or accessToken, one of the two")),
        }
    }
}

#[derive(ApiResponse)]
enum Vouched {
    /// Signed in, or linked.
    #[oai(status = 200)]
    Ok(
        Json<Me>,
        /// `wdf_token`, as `POST /api/auth/login` sets it; absent when the account was only linked.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

/// Signing in with others' word.
pub struct SocialApi;

#[OpenApi(prefix_path = "/auth/social", tag = "Group::Auth")]
impl SocialApi {
    /// Sign in with Google or Facebook
    ///
    /// Checks the provider's token against its keys, or asks the provider about it, and signs the person in. The first
    /// time makes an account of their own, for which the provider must vouch for an e-mail address. Somebody is known
    /// by the provider's id of them alone: when another account has verified the address, the answer is 409
    /// `account_exists`, and whoever signs in to that account and asks again links the two. An account that only named
    /// the address stands in nobody's way, and can verify it no more; nor does it link anything before it has verified
    /// its own (403 `email_unverified`). 503 when the provider does not answer.
    #[oai(path = "/", method = "post", operation_id = "socialLogin")]
    async fn sign_in(
        &self,
        app: Data<&Arc<App>>,
        request: &Request,
        page: OwnPage,
        _limit: SignInAllowance,
        body: Body<SocialLogin>,
    ) -> Result<Vouched, Failure<SocialSignIn>> {
        let provider = match body.0.provider {
            Provider::Google => social::Provider::Google,
            Provider::Facebook => social::Provider::Facebook,
        };
        let credential = body.0.credential()?;
        let caller = match Caller::of(request).await {
            Ok(caller) => Some(caller),
            // A session that ended is no reason not to sign in.
            Err(nobody) if nobody.status.is_client_error() => None,
            Err(trouble) => return Err(trouble.into()),
        };
        let signed_in = caller.as_ref().map(|it| (&it.session, it.kind));
        match app.social.sign_in(&app.identity, signed_in, provider, &credential, page.from).await? {
            Outcome::SignedIn(issued) => {
                let cookie = cookie(&issued.token, IDLE_MAX.num_seconds(), page.secure);
                Ok(Vouched::Ok(Json(Me { user: issued.user }), Some(cookie)))
            }
            Outcome::Linked(user) => Ok(Vouched::Ok(Json(Me { user }), None)),
        }
    }
}
