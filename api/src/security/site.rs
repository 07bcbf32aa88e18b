//! Where we are in browsers' eyes: whose pages may act for somebody, and when the session cookie is for HTTPS alone.

use std::net::IpAddr;

use application::identity::sessions::Origin;
use poem::http::{HeaderMap, header};
use poem::{FromRequest, Request, RequestBody, Result};

use crate::error::ApiError;
use crate::security::{COOKIE, app};

/// Characters of a program's name that are kept.
const USER_AGENT_MAX: usize = 300;

/// Our own address.
pub struct Site {
    /// The public address without a path: `https://flow.example`.
    origin: String,
}

impl Site {
    /// The site at this public address.
    pub fn new(public_url: &str) -> Self {
        let (scheme, rest) = public_url.split_once("://").unwrap_or(("http", public_url));
        let host = rest.split('/').next().unwrap_or_default();
        Self { origin: format!("{scheme}://{host}").to_ascii_lowercase() }
    }

    /// Whether a browser says that a page of another site sent this.
    pub fn is_foreign(&self, headers: &HeaderMap) -> bool {
        let fetched_by = text(headers, "sec-fetch-site");
        if fetched_by.is_some_and(|site| !["same-origin", "none"].contains(&site)) {
            return true;
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return false };
        let origin = origin.to_str().unwrap_or("null").to_ascii_lowercase();
        let host = text(headers, "host").map(str::to_ascii_lowercase);
        let at_host = origin.split_once("://").is_some_and(|(_, its)| Some(its) == host.as_deref());
        !at_host && origin != self.origin
    }

    /// Whether cookies of the answer are for HTTPS alone: always but on this very machine.
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.origin.starts_with("https://")
            || text(headers, "x-forwarded-proto") == Some("https")
            || !text(headers, "host").is_some_and(is_loopback)
    }
}

/// The session cookie; empty and with no time left, it clears the one there is.
pub fn cookie(token: &str, max_age_sec: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; Max-Age={max_age_sec}; HttpOnly; SameSite=Lax{secure}")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a host, with or without its port, is this very machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// A sign-in by hand or by our own pages: another site's page may not sign anybody in, not even as somebody else.
pub struct OwnPage {
    /// Where it comes from.
    pub from: Origin,
    /// Whether its cookie is for HTTPS alone.
    pub secure: bool,
}

impl<'a> FromRequest<'a> for OwnPage {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let site = &app(request)?.site;
        if site.is_foreign(request.headers()) {
            return Err(ApiError::forbidden("cross_origin", "another site's page may not sign anybody in").into());
        }
        Ok(Self { from: from(request)?, secure: site.is_secure(request.headers()) })
    }
}

/// Where a sign-in comes from; also for what is no browser.
pub struct ComesFrom(pub Origin);

impl<'a> FromRequest<'a> for ComesFrom {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self(from(request)?))
    }
}

fn from(request: &Request) -> Result<Origin, ApiError> {
    let user_agent = text(request.headers(), "user-agent").map(|it| it.chars().take(USER_AGENT_MAX).collect());
    Ok(Origin { user_agent, address: Some(app(request)?.limits.rates.network(request).to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_pages_act_for_a_cookie() {
        let site = Site::new("https://public.example/flowbot");
        let foreign = |all: &[(&'static str, &'static str)]| {
            site.is_foreign(&headers(&[&[("host", "flow.example:8080")], all].concat()))
        };
        assert!(!foreign(&[]));
        for ours in ["https://Flow.example:8080", "https://public.example"] {
            assert!(!foreign(&[("origin", ours)]) && !foreign(&[("origin", ours), ("sec-fetch-site", "same-origin")]));
            assert!(foreign(&[("origin", ours), ("sec-fetch-site", "cross-site")]), "{ours}");
        }
        for other in [
            "https://evil.example",
            "https://flow.example",
            "null",
            "http://public.example",
            "https://public.example.evil.example",
            "https://flow.example:8080.evil.example",
        ] {
            assert!(foreign(&[("origin", other)]), "{other}");
        }
        assert!(foreign(&[("sec-fetch-site", "same-site")]) && !foreign(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn cookies_are_for_https_but_on_this_very_machine() {
        let site = Site::new("http://127.0.0.1:8080");
        for here in ["localhost:8080", "127.0.0.1:8080", "127.8.0.1", "[::1]:8080", "app.localhost"] {
            let here: &'static str = here;
            assert!(!site.is_secure(&headers(&[("host", here)])), "{here}");
            assert!(site.is_secure(&headers(&[("host", here), ("x-forwarded-proto", "https")])), "{here}");
            assert!(Site::new("https://flow.example").is_secure(&headers(&[("host", here)])), "{here}");
        }
        for elsewhere in ["flow.example", "192.168.1.5:8080", "localhost.evil.example", "[2001:db8::1]", ""] {
            assert!(site.is_secure(&headers(&[("host", elsewhere)])), "{elsewhere}");
        }
        assert!(site.is_secure(&HeaderMap::new()));
    }
}
