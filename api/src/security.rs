//! Who calls: the session cookie or a Bearer token. [`may::May`] is the argument of operations that need to know.

pub mod may;
pub mod site;

use std::sync::Arc;

use application::actor::Session;
use application::identity::Holder;
use application::identity::sessions::SessionKind;
use domain::flow::validation::Problem;
use domain::shared::ids::TenantId;
use domain::shared::preferences::Language;
use poem::web::headers::HeaderMapExt;
use poem::web::headers::authorization::{Authorization, Bearer};
use poem::{Request, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::language;
use crate::middleware::idempotency::RequestKey;
use crate::middleware::observe::RequestId;
use crate::middleware::prolong::Due;
use crate::middleware::translate::Chosen;

/// The session cookie.
pub const COOKIE: &str = "wdf_token";

/// The scheme of the session cookie in the OpenAPI document.
pub const COOKIE_AUTH: &str = "cookieAuth";
/// The scheme of Bearer tokens in the OpenAPI document.
pub const BEARER_AUTH: &str = "bearerAuth";

/// Whoever is signed in, by cookie or by Bearer token. A Bearer token, when there is one, is all that counts.
pub struct Caller {
    /// The person and their account.
    pub session: Session,
    /// What they showed.
    pub token: String,
    /// What that was made for.
    pub kind: SessionKind,
    /// The language they read: the one they chose, else the one their browser likes best.
    pub language: Language,
}

impl Caller {
    /// Who holds the request's credentials.
    ///
    /// # Errors
    /// Nobody does, or another site's page sent the request.
    pub async fn of(request: &Request) -> Result<Self, ApiError> {
        let app = app(request)?;
        let shown = shown_token(request);
        let (token, by_cookie) = shown.ok_or_else(|| ApiError::unauthorized("sign in, or send a Bearer token"))?;
        if by_cookie && !request.method().is_safe() && app.site.is_foreign(request.headers()) {
            return Err(ApiError::forbidden("cross_origin", "another site's page may not act for this session"));
        }
        let known = app.identity.session(&token).await?;
        let Holder { session, kind, is_due } =
            known.ok_or_else(|| ApiError::unauthorized("the session or the token is not valid"))?;
        if is_due && let Some(due) = request.data::<Due>() {
            due.is(&token, by_cookie);
        }
        if let Some(chosen) = request.data::<Chosen>() {
            chosen.is(session.language);
        }
        let correlation = request.data::<RequestId>().map_or(session.correlation, |it| it.0);
        let idempotency_key = request.data::<RequestKey>().map(|it| it.0.clone());
        let language = session.language.or_else(|| language::accepted(request.headers())).unwrap_or(Language::En);
        Ok(Self { session: Session { correlation, idempotency_key, ..session }, token, kind, language })
    }

    /// Problems and warnings as they read them.
    pub fn reads(&self, problems: &mut Vec<Problem>) {
        *problems = language::told(self.language, std::mem::take(problems));
    }

    /// The session, in somebody else's account when an administrator asks for it.
    ///
    /// # Errors
    /// Somebody else's account, and not an administrator.
    pub fn in_account(&self, account: Option<Uuid>) -> Result<Session, ApiError> {
        let tenant = account.map_or(self.session.tenant, TenantId);
        if tenant != self.session.tenant && !self.session.is_admin() {
            return Err(ApiError::forbidden("forbidden", "only an administrator looks into other accounts"));
        }
        Ok(Session { tenant, ..self.session.clone() })
    }
}

/// The token a request shows, and whether as a cookie.
pub fn shown_token(request: &Request) -> Option<(String, bool)> {
    let bearer = request.headers().typed_get::<Authorization<Bearer>>().map(|it| it.token().to_owned());
    let by_cookie = bearer.is_none();
    let token = bearer.or_else(|| request.cookie().get(COOKIE).map(|it| it.value_str().to_owned()));
    token.filter(|text| !text.is_empty()).map(|token| (token, by_cookie))
}

/// The rooms behind the operations, from inside an extractor.
///
/// # Errors
/// The request came in past [`crate::openapi::routes`].
pub fn app(request: &Request) -> Result<&Arc<App>, ApiError> {
    request.data::<Arc<App>>().ok_or_else(ApiError::internal)
}

/// Names the session schemes in the document.
pub fn register_session_schemes(registry: &mut Registry) {
    let cookie =
        "The session cookie `POST /api/auth/login` sets. Every operation that takes it takes a Bearer token too.";
    let bearer = "A token of `POST /api/auth/api-token`, or the value of the session cookie.";
    registry.create_security_scheme(COOKIE_AUTH, api_key(COOKIE, "cookie", cookie));
    registry.create_security_scheme(BEARER_AUTH, http("bearer", Some("JWT"), bearer));
}

/// A secret in a header or a cookie.
pub const fn api_key(name: &'static str, key_in: &'static str, description: &'static str) -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "apiKey",
        description: Some(description),
        name: Some(name),
        key_in: Some(key_in),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}

/// An HTTP authentication scheme.
pub const fn http(scheme: &'static str, format: Option<&'static str>, description: &'static str) -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some(description),
        name: None,
        key_in: None,
        scheme: Some(scheme),
        bearer_format: format,
        flows: None,
        openid_connect_url: None,
    }
}
