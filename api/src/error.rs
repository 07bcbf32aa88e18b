//! The one shape errors leave in: a status, a sentence, a stable word.

use std::marker::PhantomData;
use std::time::Duration;

use application::channels::Intake;
use application::error::AppError;
use domain::flow::validation::Problem;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};

/// Seconds a client waits before it tries again what we could not take.
const RETRY_AFTER_SEC: u64 = 5;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename = "Error", rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ErrorBody {
    /// In words, for people.
    pub error: String,
    /// In one stable word, for programs.
    pub code: String,
    /// Everything that is wrong, where it is more than one thing.
    pub problems: Option<Vec<Problem>>,
    /// `false` when only a template may be sent now; absent otherwise.
    pub window_open: Option<bool>,
}

/// An error on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: ErrorBody,
    /// Headers that go with it.
    pub headers: Vec<(HeaderName, String)>,
}

impl ApiError {
    /// An error with a status, a stable word and a sentence.
    pub fn new(status: StatusCode, code: &str, error: impl Into<String>) -> Self {
        let body = ErrorBody { error: error.into(), code: code.to_owned(), problems: None, window_open: None };
        Self { status, body, headers: Vec::new() }
    }

    /// A wrong request.
    pub fn invalid(code: &str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error)
    }

    /// Who calls is not known.
    pub fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", error).with(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// Who calls may not.
    pub fn forbidden(code: &str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, error)
    }

    /// There is no such thing for who calls.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// Too many requests; the next one is welcome after so long.
    pub fn rate_limited(wait: Duration) -> Self {
        let wait_sec = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let error = format!("too many requests; try again in {wait_sec} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", error).with(header::RETRY_AFTER, wait_sec.to_string())
    }

    /// The body is larger than it may be.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request body is too large")
    }

    /// Nothing was stored; the same request may work in a moment.
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error)
            .with(header::RETRY_AFTER, RETRY_AFTER_SEC.to_string())
    }

    /// Our fault.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error")
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let message = error.to_string();
        match error {
            AppError::Invalid { problems, .. } => {
                let mut refusal = Self::invalid("invalid_request", message);
                refusal.body.problems = Some(problems).filter(|all| !all.is_empty());
                refusal
            }
            AppError::Unauthorized(_) => Self::unauthorized(message),
            AppError::Forbidden(_) => Self::forbidden("forbidden", message),
            AppError::NotFound(what) => Self::not_found(what),
            // Only this one may be sent again as it is.
            AppError::Conflict { code: "contended", .. } => {
                Self::new(StatusCode::CONFLICT, "contended", message).with(header::RETRY_AFTER, "1")
            }
            AppError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, message),
            AppError::WindowClosed => {
                let mut refusal = Self::new(StatusCode::CONFLICT, "window_closed", message);
                refusal.body.window_open = Some(false);
                refusal
            }
            AppError::TemplateUnknown => Self::invalid("template_unknown", message),
            AppError::Unverified => Self::forbidden("email_unverified", message),
            AppError::CodeInvalid => Self::invalid("code_invalid", message),
            AppError::Limited { wait_sec, .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
                .with(header::RETRY_AFTER, wait_sec.to_string()),
            AppError::TooMany { wait } => Self::rate_limited(wait),
            AppError::Upstream { code, .. } => Self::new(StatusCode::BAD_GATEWAY, code, message),
            AppError::NotConfigured { code, .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message),
            AppError::Unavailable | AppError::ProviderUnavailable(_) => Self::unavailable(message),
            AppError::Internal(source) => {
                tracing::error!(error = %chain(&*source), "A request failed inside");
                Self::internal()
            }
        }
    }
}

impl From<Intake> for ApiError {
    fn from(refusal: Intake) -> Self {
        match refusal {
            Intake::BadSignature => Self::new(StatusCode::UNAUTHORIZED, "bad_signature", refusal.to_string()),
            Intake::TooLarge => Self::too_large(),
            Intake::Unavailable => Self::unavailable(refusal.to_string()),
        }
    }
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        response.set_status(self.status);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        Self::from_response(error.into_response())
    }
}

/// An error of an operation that fails with the statuses of `S` alone.
pub struct Failure<S> {
    error: ApiError,
    statuses: PhantomData<fn() -> S>,
}

/// The statuses a kind of operation fails with.
pub trait Statuses: 'static {
    /// Them.
    const LIST: &'static [u16];
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)+;)+) => { $(
        $(#[$doc])*
        pub struct $name;
        impl Statuses for $name { const LIST: &'static [u16] = &[$($status),+]; }
    )+ };
}

statuses! {
    /// Lists.
    List: 400 401 403 500 503;
    /// One thing, by its id.
    Read: 400 401 403 404 500 503;
    /// A question about one thing that comes with a body.
    Question: 400 401 403 404 413 415 500 503;
    /// A proof, which may come too early.
    Proof: 400 401 403 404 409 500 503;
    /// A question about many things that comes with a body.
    Ask: 400 401 403 413 415 500 503;
    /// Something of the caller's own.
    Own: 401 403 404 500 503;
    /// Something new.
    Create: 400 401 403 409 413 415 500 503;
    /// A change of one thing.
    Change: 400 401 403 404 409 413 415 500 503;
    /// A change without a body.
    BareChange: 400 401 403 404 409 500 503;
    /// A sign-in.
    SignIn: 400 401 403 413 415 500 503;
    /// A new key of one's own.
    Rotate: 400 401 403 404 409 413 415 500 503;
    /// A sign-in with somebody else's word for it.
    SocialSignIn: 400 401 403 409 413 415 500 503;
    /// Something new that a provider has a say in.
    Submission: 400 401 403 409 413 415 429 500 502 503;
    /// A deletion that a provider has a say in.
    Deletion: 400 401 403 404 409 413 415 429 500 502 503;
    /// Somebody new.
    Register: 400 409 413 415 500 503;
    /// A code, asked for or shown.
    Verify: 400 403 413 415 500 503;
    /// What somebody prefers.
    Prefer: 400 401 403 404 413 415 500 503;
    /// A trigger.
    Trigger: 400 401 403 404 409 413 500 503;
    /// A trigger without a body.
    QueryTrigger: 400 401 403 404 409 500 503;
    /// A provider's handshake.
    Handshake: 400 403 500 503;
    /// A provider's webhook.
    Webhook: 401 413 500 503;
}

impl<S, E: Into<ApiError>> From<E> for Failure<S> {
    fn from(error: E) -> Self {
        Self { error: error.into(), statuses: PhantomData }
    }
}

impl<S> From<Failure<S>> for poem::Error {
    fn from(failure: Failure<S>) -> Self {
        failure.error.into()
    }
}

impl<S: Statuses> ApiResponse for Failure<S> {
    fn meta() -> MetaResponses {
        let content =
            || MetaMediaType { content_type: Json::<ErrorBody>::CONTENT_TYPE, schema: ErrorBody::schema_ref() };
        let response = |&status: &u16| MetaResponse {
            description: describe(status),
            status: Some(status),
            status_range: None,
            content: vec![content()],
            headers: Vec::new(),
        };
        MetaResponses { responses: S::LIST.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        ErrorBody::register(registry);
    }
}

const fn describe(status: u16) -> &'static str {
    match status {
        400 => "The request is wrong: a missing, unknown or malformed field or parameter.",
        401 => "Who calls is not known: no credentials, or none that are valid.",
        403 => "Who calls is known, and may not.",
        404 => "There is no such thing for who calls; other accounts' things are not there either.",
        409 => "It contradicts what is so by now. With `windowOpen: false`, only a template may be sent.",
        413 => "The body is larger than 1 MiB; 3 MiB for webhooks.",
        415 => "The body is not `application/json`.",
        429 => "Too many requests; `Retry-After` says how many seconds to wait.",
        502 => "Meta refused it for a reason the request has no part in, or could not be reached.",
        503 => {
            "The database cannot be reached and nothing was stored; `Retry-After` says when to try again. Without it, the \
             operator did not set up what this takes."
        }
        _ => "Our fault; the request id in `X-Request-Id` finds it in the log.",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn shown(error: impl Into<ApiError>) -> (u16, Option<String>, Value) {
        let response = error.into().into_response();
        let retry = response.header(header::RETRY_AFTER).map(str::to_owned);
        let status = response.status().as_u16();
        (status, retry, response.into_body().into_json().await.unwrap())
    }

    #[tokio::test]
    async fn every_kind_of_refusal_has_its_status_and_word() {
        let problem = Problem::of_field("phone", domain::reason!("required", "is required"));
        let conflict = AppError::Conflict { code: "claimed", message: "taken".into() };
        for (error, status, body) in [
            (AppError::invalid("no"), 400, json!({"error": "no", "code": "invalid_request"})),
            (
                AppError::Invalid { message: "no".into(), problems: vec![problem] },
                400,
                json!({"error": "no", "code": "invalid_request", "problems": [{"field": "phone", "reason": "is required", "code": "required"}]}),
            ),
            (AppError::Unauthorized("who?".into()), 401, json!({"error": "who?", "code": "unauthorized"})),
            (AppError::Forbidden("no".into()), 403, json!({"error": "no", "code": "forbidden"})),
            (AppError::NotFound("flow"), 404, json!({"error": "flow not found", "code": "not_found"})),
            (conflict, 409, json!({"error": "taken", "code": "claimed"})),
        ] {
            let (shown_status, retry, shown_body) = shown(error).await;
            assert_eq!((shown_status, retry, shown_body), (status, None, body));
        }
    }

    #[tokio::test]
    async fn a_closed_window_says_so() {
        let (status, _, body) = shown(AppError::WindowClosed).await;
        assert_eq!((status, &body["windowOpen"], &body["code"]), (409, &json!(false), &json!("window_closed")));
    }

    #[tokio::test]
    async fn what_went_wrong_inside_is_not_sent() {
        let (status, _, body) = shown(AppError::internal("password=hunter2")).await;
        assert_eq!((status, body), (500, json!({"error": "internal error", "code": "internal"})));
    }

    #[tokio::test]
    async fn whoever_may_try_again_is_told_when() {
        assert_eq!(shown(AppError::Unavailable).await.1.as_deref(), Some("5"));
        assert_eq!(shown(Intake::Unavailable).await.1.as_deref(), Some("5"));
        let (status, retry, _) = shown(ApiError::rate_limited(Duration::from_millis(89_001))).await;
        assert_eq!((status, retry.as_deref()), (429, Some("90")));
    }
}
