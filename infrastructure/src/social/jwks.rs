//! The keys a provider signs with, fetched when they are needed and kept as long as the provider says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use reqwest::header::{CACHE_CONTROL, HeaderMap};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::social::{SocialError, short_body};

/// How long keys are kept when the provider does not say, and within which bounds it may.
const KEPT: Duration = Duration::from_secs(300);
const KEPT_BETWEEN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));
/// How often keys are fetched because a token names one that is not known: anybody can make such tokens.
const UNKNOWN_EVERY: Duration = Duration::from_secs(60);
/// How long nobody asks a provider that did not answer.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// One key as it is published.
#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Published>,
}

#[derive(Default)]
struct State {
    keys: HashMap<String, DecodingKey>,
    fresh_until: Option<Instant>,
    fetched_at: Option<Instant>,
    failed_at: Option<Instant>,
}

/// A provider's keys.
pub(super) struct Jwks {
    http: reqwest::Client,
    url: String,
    unknown_every: Duration,
    state: Mutex<State>,
}

impl Jwks {
    pub(super) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url, unknown_every: UNKNOWN_EVERY, state: Mutex::default() }
    }

    /// The key of this name; whoever comes while it is fetched waits for it.
    pub(super) async fn key(&self, kid: &str) -> Result<Option<DecodingKey>, SocialError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let is_fresh = state.fresh_until.is_some_and(|until| now < until);
        if is_fresh && let Some(key) = state.keys.get(kid) {
            return Ok(Some(key.clone()));
        }
        if is_fresh && state.fetched_at.is_some_and(|at| now < at + self.unknown_every) {
            return Ok(None);
        }
        if state.failed_at.is_some_and(|at| now < at + FAILED_FOR) {
            return Err(SocialError::Unreachable("it did not answer a moment ago".to_owned()));
        }
        match self.fetch().await {
            Ok((keys, kept)) => {
                let now = Instant::now();
                *state = State { keys, fresh_until: Some(now + kept), fetched_at: Some(now), failed_at: None };
                Ok(state.keys.get(kid).cloned())
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<(HashMap<String, DecodingKey>, Duration), SocialError> {
        let response = self.http.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.map_err(SocialError::unreachable)?;
        let kept = kept(response.headers());
        let body = short_body(response).await?;
        let unread = |error: serde_json::Error| SocialError::Unreachable(format!("the keys cannot be read: {error}"));
        let document: Document = serde_json::from_slice(&body).map_err(unread)?;
        let keys = document.keys.into_iter().filter_map(usable).collect();
        Ok((keys, kept))
    }
}

/// RSA keys for signatures, with a name.
fn usable(key: Published) -> Option<(String, DecodingKey)> {
    let signs = key.kty == "RSA" && key.purpose.is_none_or(|purpose| purpose == "sig");
    let (kid, n, e) = (key.kid?, key.n?, key.e?);
    let key = DecodingKey::from_rsa_components(&n, &e).ok().filter(|_| signs)?;
    Some((kid, key))
}

/// As long as `Cache-Control: max-age` says, within reason.
fn kept(headers: &HeaderMap) -> Duration {
    let text = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let age = text.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok());
    age.map_or(KEPT, |age| Duration::from_secs(age).clamp(KEPT_BETWEEN.0, KEPT_BETWEEN.1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use poem::listener::{Acceptor, Listener, TcpListener};
    use poem::web::{Data, Json};
    use poem::{EndpointExt, Route, Server, get, handler};
    use serde_json::{Value, json};

    use super::*;
    use crate::http_client;

    /// Publishes one key more each time it is asked.
    #[handler]
    fn keys(Data(asked): Data<&Arc<AtomicUsize>>) -> Json<Value> {
        let many = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let key = |n| json!({ "kty": "RSA", "kid": format!("k{n}"), "n": "sXch", "e": "AQAB", "use": "sig" });
        let mut keys: Vec<Value> = (1..=many).map(key).collect();
        keys.extend([json!({ "kty": "EC", "kid": "curve" }), json!({ "kty": "RSA", "kid": "half", "n": "sXch" })]);
        Json(json!({ "keys": keys }))
    }

    async fn provider() -> (Jwks, Arc<AtomicUsize>) {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let asked = Arc::<AtomicUsize>::default();
        let routes = Route::new().at("/keys", get(keys)).data(Arc::clone(&asked));
        tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await });
        let http = http_client::client(Duration::from_secs(2));
        (Jwks::new(http, format!("http://{address}/keys")), asked)
    }

    #[tokio::test]
    async fn keys_are_fetched_once_whatever_tokens_ask_for() {
        let (jwks, asked) = provider().await;
        assert!(jwks.key("k1").await.unwrap().is_some());
        for unknown in ["k2", "curve", "half", "", "../k1"] {
            assert!(jwks.key(unknown).await.unwrap().is_none(), "{unknown}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_key_that_is_new_is_found_once_it_may_be_looked_for() {
        let (jwks, asked) = provider().await;
        assert!(jwks.key("k1").await.unwrap().is_some());
        let jwks = Jwks { unknown_every: Duration::ZERO, ..jwks };
        assert!(jwks.key("k2").await.unwrap().is_some());
        assert!(jwks.key("k1").await.unwrap().is_some());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_provider_that_does_not_answer_is_left_alone_for_a_moment() {
        let jwks = Jwks::new(http_client::client(Duration::from_secs(2)), "http://127.0.0.1:1/keys".to_owned());
        for _ in 0..3 {
            assert!(matches!(jwks.key("k1").await, Err(SocialError::Unreachable(_))));
        }
    }

    #[test]
    fn keys_are_kept_as_long_as_the_provider_says_within_reason() {
        let kept = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            super::kept(&headers).as_secs()
        };
        assert_eq!(kept("public, max-age=20089, must-revalidate"), 20_089);
        assert_eq!(kept("max-age=0"), 60);
        assert_eq!(kept("max-age=99999999"), 86_400);
        assert_eq!(kept("no-store"), 300);
        assert_eq!(super::kept(&HeaderMap::new()), KEPT);
    }
}
