//! `Idempotency-Key`: a request that is sent again is answered again, and takes effect once.
//!
//! Two things hold it together. The answer is kept with the key, and whoever sends the same request again gets it.
//! And the key goes down to the append, which leaves it beside the events: when a process dies between the two, the
//! request that takes over finds out that it took effect.
//!
//! Nothing is told of a request to somebody its operation does not let in any more: the rule the document says is asked
//! before the key is looked at, and an answer that shows something is given again only to the rights it was given to,
//! because some operations ask for more inside.

use std::sync::Arc;
use std::time::Duration;

use application::error::AppResult;
use application::idempotency::{Asked, Begun, Idempotency, KEY_MAX, Kept, Keyed};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Body, Endpoint, IntoResponse, Middleware, Request, Response, Result};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::ApiError;
use crate::middleware::body_limit;
use crate::middleware::known_paths::KnownPaths;
use crate::security::may::meet;
use crate::security::{self, Caller};

/// The header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Seconds until somebody may ask again for a request that runs.
const RUNNING_RETRY_SEC: &str = "1";
/// How long the end of a request is tried to be stored, as often as that: its lease, after which it may begin again.
const SETTLE_TRIES: u32 = 60;
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// The key of the request that runs, for [`Caller`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey(pub String);

/// Whether operations with this method and path take the header: all that change something, but those whose answers
/// are secrets that must not be kept.
pub fn is_taken(method: &Method, path: &str) -> bool {
    let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    changes && path.starts_with("/api/") && !shows_secrets(path)
}

fn shows_secrets(path: &str) -> bool {
    path.starts_with("/api/auth/") || path.trim_end_matches('/') == "/api/settings/api-access"
}

/// The middleware, with the operations that take a key.
pub struct Idempotent(pub Arc<KnownPaths>);

/// The middleware around an endpoint.
pub struct Once<E> {
    inner: Arc<E>,
    paths: Arc<KnownPaths>,
}

impl<E: Endpoint<Output = Response> + 'static> Middleware<E> for Idempotent {
    type Output = Once<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Once { inner: Arc::new(endpoint), paths: Arc::clone(&self.0) }
    }
}

impl<E: Endpoint<Output = Response> + 'static> Endpoint for Once<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if !request.headers().contains_key(KEY) || request.method().is_safe() {
            return self.inner.call(request).await;
        }
        match self.once(request).await {
            Ok(response) => Ok(response),
            Err(refusal) => Ok(refusal.into_response()),
        }
    }
}

impl<E: Endpoint<Output = Response> + 'static> Once<E> {
    async fn once(&self, mut request: Request) -> Result<Response, ApiError> {
        let path = request.original_uri().path().to_owned();
        if path.starts_with("/api/") && shows_secrets(&path) {
            let words = "this operation takes no Idempotency-Key: its answers are secrets and are not kept";
            return Err(ApiError::invalid("idempotency_key_unsupported", words));
        }
        let Some(guard) = self.paths.guard(request.method(), &path) else { return self.pass(request).await };
        // Whoever is not signed in has no account that keys could belong to.
        let session = match Caller::of(&request).await {
            Ok(caller) => caller.session,
            Err(trouble) if trouble.status.is_server_error() => return Err(trouble),
            Err(_) => return self.pass(request).await,
        };
        if !guard.or_own_credentials {
            meet(&session, guard.need)?;
        }
        let (tenant, user, access) = (session.tenant, session.user, session.access);
        let keyed = Keyed { tenant, user, access, key: key(request.headers())? };
        let body = request.take_body().into_bytes_limit(body_limit::bytes_max(&path)).await;
        let body = body.map_err(body_limit::refusal)?;
        request.set_body(Body::from_bytes(body.clone()));
        let store = Arc::clone(&security::app(&request)?.idempotency);
        let address = request.original_uri().path_and_query().map_or(path.as_str(), |it| it.as_str()).to_owned();
        let asked = Asked { method: request.method().as_str(), address: &address, body: &body };
        match store.begin(&keyed, asked).await? {
            Begun::Ours(lease) => {
                request.set_data(RequestKey(keyed.key.clone()));
                let run = run(Arc::clone(&self.inner), request, store, keyed, lease).in_current_span();
                // To its end, even when the client hangs up: otherwise nobody would know what became of it.
                tokio::spawn(run).await.map_err(|_| ApiError::internal())
            }
            Begun::Answered(kept) => Ok(again(kept)),
            Begun::AnswerGone => Err(outcome_unknown()),
            Begun::Running => Err(ApiError::new(
                StatusCode::CONFLICT,
                "idempotency_in_progress",
                "a request with this Idempotency-Key is running; ask again for its answer",
            )
            .with(header::RETRY_AFTER, RUNNING_RETRY_SEC)),
            Begun::Reused => Err(ApiError::new(
                StatusCode::CONFLICT,
                "idempotency_key_reused",
                "this Idempotency-Key belongs to another request; take a new key for a new request",
            )),
        }
    }

    async fn pass(&self, request: Request) -> Result<Response, ApiError> {
        Ok(self.inner.call(request).await.unwrap_or_else(|error| error.into_response()))
    }
}

fn outcome_unknown() -> ApiError {
    let words = "the request took effect and its answer is not kept; read the resource to see how it stands";
    ApiError::new(StatusCode::CONFLICT, application::error::OUTCOME_UNKNOWN, words)
}

/// The key: 1 to 255 visible ASCII characters, once.
fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut sent = headers.get_all(KEY).iter();
    let text = match (sent.next(), sent.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let good = |text: &&str| (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let words = "Idempotency-Key is 1 to 255 visible ASCII characters, sent once";
    text.filter(good).map(str::to_owned).ok_or_else(|| ApiError::invalid("idempotency_key_invalid", words))
}

/// Runs the request and keeps its answer; one that asks to be sent again is forgotten.
async fn run<E: Endpoint<Output = Response>>(
    endpoint: Arc<E>,
    request: Request,
    store: Arc<dyn Idempotency>,
    keyed: Keyed,
    lease: Uuid,
) -> Response {
    let response = endpoint.call(request).await.unwrap_or_else(|error| error.into_response());
    let status = response.status();
    // Who may not may be allowed to later, and nothing was done.
    let is_open = status.is_server_error() || [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    let may_run_again = is_open || response.headers().contains_key(header::RETRY_AFTER);
    if may_run_again || !is_short(&response) {
        settle(move || {
            let (store, keyed) = (Arc::clone(&store), keyed.clone());
            async move { store.forget(&keyed, lease).await }
        })
        .await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.into_vec().await else { return ApiError::internal().into_response() };
    let kept = Kept { status: parts.status.as_u16(), headers: own(&parts.headers), body: body.clone() };
    settle(move || {
        let (store, keyed, kept) = (Arc::clone(&store), keyed.clone(), kept.clone());
        async move { store.keep(&keyed, lease, &kept).await }
    })
    .await;
    Response::from_parts(parts, Body::from_vec(body))
}

/// Stores the end of a request. Without a database the answer goes out all the same, and the end is stored later.
async fn settle<F: Future<Output = AppResult<()>> + Send>(store: impl Fn() -> F + Send + 'static) {
    let Err(error) = store().await else { return };
    tracing::warn!(%error, "The end of a request with an Idempotency-Key could not be stored yet");
    tokio::spawn(async move {
        for _ in 0..SETTLE_TRIES {
            tokio::time::sleep(SETTLE_PAUSE).await;
            if store().await.is_ok() {
                return;
            }
        }
    });
}

/// Whether the answer is one piece: what streams is not kept.
fn is_short(response: &Response) -> bool {
    response.content_type().is_none_or(|kind| kind.starts_with("application/json"))
}

/// The headers an operation sets itself. A cookie is nobody else's.
fn own(headers: &HeaderMap) -> Vec<(String, String)> {
    let named = [header::CONTENT_TYPE.as_str(), header::LOCATION.as_str(), header::LINK.as_str(), "projection-lag"];
    let wanted = |name: &str| named.contains(&name) || name.starts_with("x-");
    let found = headers.iter().filter(|(name, _)| wanted(name.as_str()));
    found.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

/// The answer, once more.
fn again(kept: Kept) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::builder().status(status).body(kept.body);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii_and_come_once() {
        let read = |keys: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append(KEY, HeaderValue::from_bytes(key).unwrap());
            }
            super::key(&headers).map_err(|error| error.body.code)
        };
        let long = [b'a'; KEY_MAX + 1];
        assert_eq!(read(&[b"a-1"]).unwrap(), "a-1");
        assert_eq!(read(&[&long[1..]]).unwrap().len(), KEY_MAX);
        for wrong in [&[&long[..]][..], &[b""], &[b"a b"], &["\u{e9}".as_bytes()], &[b"a", b"a"], &[b"a\tb"]] {
            assert_eq!(read(wrong).unwrap_err(), "idempotency_key_invalid", "{wrong:?}");
        }
    }

    #[test]
    fn what_shows_secrets_takes_no_key() {
        assert!(is_taken(&Method::POST, "/api/flows") && is_taken(&Method::DELETE, "/api/flows/7"));
        for (method, path) in [
            (Method::GET, "/api/flows"),
            (Method::POST, "/api/auth/login"),
            (Method::POST, "/api/settings/api-access"),
            (Method::POST, "/sandbox/customers/1/messages"),
        ] {
            assert!(!is_taken(&method, path), "{method} {path}");
        }
    }
}
