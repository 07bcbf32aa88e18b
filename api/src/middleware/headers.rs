//! The headers that tell browsers what not to do with our answers.

use poem::Response;
use poem::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use poem::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use poem::http::{HeaderName, HeaderValue};

/// Data: nothing in it is ever run.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Pages: everything they run comes with them.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; frame-ancestors 'none'";

/// Adds what an answer does not say itself.
pub fn secure(mut response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let policy = if kind.is_some_and(|kind| kind.starts_with("text/html")) { PAGE_POLICY } else { DATA_POLICY };
    let mut add = |name: HeaderName, value: &'static str| {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, policy);
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(X_FRAME_OPTIONS, "DENY");
    add(REFERRER_POLICY, "no-referrer");
    add(CACHE_CONTROL, "no-store");
    response
}
