//! A session that is used lasts longer: the one place that says so, to the database and to the browser.

use std::sync::{Arc, OnceLock};

use poem::http::header::SET_COOKIE;
use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Middleware, Request, Response, Result};

use crate::app::App;
use crate::security::site::cookie;

/// The token of a session whose use is to be written down, for [`crate::security::Caller`] to leave here.
#[derive(Clone, Default)]
pub struct Due(Arc<OnceLock<(String, bool)>>);

impl Due {
    /// It is time for this one, which came as a cookie or not.
    pub fn is(&self, token: &str, by_cookie: bool) {
        self.0.get_or_init(|| (token.to_owned(), by_cookie));
    }
}

/// The middleware.
pub struct Prolong;

/// The middleware around an endpoint.
pub struct Prolonging<E>(E);

impl<E: Endpoint<Output = Response>> Middleware<E> for Prolong {
    type Output = Prolonging<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Prolonging(endpoint)
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Prolonging<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let due = Due::default();
        request.set_data(due.clone());
        let app = request.data::<Arc<App>>().cloned();
        let secure = app.as_ref().is_some_and(|app| app.site.is_secure(request.headers()));
        let mut response = self.0.call(request).await?;
        let (Some(app), Some((token, by_cookie))) = (app, due.0.get()) else { return Ok(response) };
        match app.identity.prolong(token).await {
            // Who signs in or out at this very moment has said what becomes of the cookie.
            Ok(Some(longer)) if *by_cookie && !response.headers().contains_key(SET_COOKIE) => {
                set(response.headers_mut(), &cookie(&longer.token, longer.lives_sec, secure));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "The use of a session could not be written down"),
        }
        Ok(response)
    }
}

fn set(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, value);
    }
}
