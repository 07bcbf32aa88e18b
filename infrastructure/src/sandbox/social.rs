//! Google and Facebook as those who sign in with them meet them: keys, tokens signed with them, and Facebook's answers
//! about its access tokens. A token is made with `POST google/tokens` or `facebook/tokens`, and may be wrong on purpose.

mod keys;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use hmac::Mac;
use poem::http::StatusCode;
use poem::web::{Data, Json, Path, Query};
use poem::{IntoResponse, Request, Response, Route, get, handler, post};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use self::keys::SandboxKeys;
use super::SandboxConfig;
use crate::security::hmac_sha256;
use crate::security::signatures::constant_time_eq;

/// How long tokens are good, in seconds.
const LIFETIME_SEC: i64 = 3_600;

/// Both providers.
pub(super) struct SocialSandbox {
    config: SandboxConfig,
    google: Mutex<SandboxKeys>,
    facebook: Mutex<SandboxKeys>,
    access_tokens: Mutex<HashMap<String, Wanted>>,
}

/// The token somebody wants. What is left out is as it should be.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    sub: String,
    email: Option<String>,
    email_verified: Option<bool>,
    name: Option<String>,
    /// For another client.
    audience: Option<String>,
    /// By another issuer.
    issuer: Option<String>,
    /// Seconds from now on.
    expires_in: Option<i64>,
    /// Signed with a key that is not published.
    #[serde(default)]
    unpublished_key: bool,
}

impl SocialSandbox {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let (google, facebook) = (Mutex::new(SandboxKeys::new("google")), Mutex::new(SandboxKeys::new("facebook")));
        Self { config, google, facebook, access_tokens: Mutex::default() }
    }

    /// Its routes beside the ones that are there.
    pub(super) fn beside(route: Route) -> Route {
        route
            .at("/google/oauth2/v3/certs", get(google_keys))
            .at("/google/tokens", post(google_token))
            .at("/google/keys", post(google_rotates))
            .at("/facebook/.well-known/oauth/openid/jwks/", get(facebook_keys))
            .at("/facebook/tokens", post(facebook_token))
            .at("/graph/:version/debug_token", get(debug_token))
            .at("/graph/:version/me", get(me))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn claims(wanted: &Wanted, issuer: &str, audience: &str, now: DateTime<Utc>) -> Value {
    let mut claims = json!({
        "iss": wanted.issuer.as_deref().unwrap_or(issuer),
        "aud": wanted.audience.as_deref().unwrap_or(audience),
        "sub": wanted.sub,
        "iat": now.timestamp(),
        "exp": now.timestamp() + wanted.expires_in.unwrap_or(LIFETIME_SEC),
        "jti": Uuid::new_v4(),
    });
    for (name, value) in [("email", &wanted.email), ("name", &wanted.name)] {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    }
    if let Some(verified) = wanted.email_verified {
        claims["email_verified"] = json!(verified);
    }
    claims
}

#[handler]
fn google_keys(Data(social): Data<&Arc<SocialSandbox>>) -> Response {
    published(&held(&social.google))
}

#[handler]
fn facebook_keys(Data(social): Data<&Arc<SocialSandbox>>) -> Response {
    published(&held(&social.facebook))
}

fn published(keys: &SandboxKeys) -> Response {
    Json(keys.document()).with_header("cache-control", "public, max-age=3600").into_response()
}

#[handler]
fn google_token(Json(wanted): Json<Wanted>, Data(social): Data<&Arc<SocialSandbox>>) -> Json<Value> {
    let verified = Some(wanted.email_verified.unwrap_or(wanted.email.is_some()));
    let wanted = Wanted { email_verified: verified, ..wanted };
    let claims = claims(&wanted, "https://accounts.google.com", &social.config.google_client_id, Utc::now());
    Json(json!({ "idToken": held(&social.google).sign(&claims, wanted.unpublished_key) }))
}

/// A new key signs from now on; the one before stays published.
#[handler]
fn google_rotates(Data(social): Data<&Arc<SocialSandbox>>) -> Json<Value> {
    Json(json!({ "kid": held(&social.google).rotate() }))
}

#[handler]
fn facebook_token(Json(wanted): Json<Wanted>, Data(social): Data<&Arc<SocialSandbox>>) -> Json<Value> {
    let claims = claims(&wanted, "https://www.facebook.com", &social.config.app_id, Utc::now());
    let id_token = held(&social.facebook).sign(&claims, wanted.unpublished_key);
    let access_token = format!("EAA{}", Uuid::new_v4().simple());
    held(&social.access_tokens).insert(access_token.clone(), wanted);
    Json(json!({ "idToken": id_token, "accessToken": access_token }))
}

#[derive(Deserialize)]
struct Inspect {
    input_token: String,
}

#[handler]
fn debug_token(
    Path(_version): Path<String>,
    Query(Inspect { input_token }): Query<Inspect>,
    request: &Request,
    Data(social): Data<&Arc<SocialSandbox>>,
) -> Response {
    let ours = bearer(request).and_then(|token| token.split_once('|'));
    if !ours.is_some_and(|(_, secret)| constant_time_eq(secret, &social.config.app_secret)) {
        return refusal("Invalid OAuth access token signature.");
    }
    let data = match held(&social.access_tokens).get(&input_token) {
        Some(wanted) => {
            let lasts = wanted.expires_in.unwrap_or(LIFETIME_SEC);
            json!({
                "app_id": wanted.audience.as_deref().unwrap_or(&social.config.app_id), "type": "USER", "is_valid": lasts > 0,
                "expires_at": Utc::now().timestamp() + lasts, "user_id": wanted.sub, "scopes": ["email", "public_profile"],
            })
        }
        None => json!({ "is_valid": false, "scopes": [] }),
    };
    Json(json!({ "data": data })).into_response()
}

#[derive(Deserialize)]
struct Proof {
    appsecret_proof: Option<String>,
}

#[handler]
fn me(
    Path(_version): Path<String>,
    Query(Proof { appsecret_proof }): Query<Proof>,
    request: &Request,
    Data(social): Data<&Arc<SocialSandbox>>,
) -> Response {
    let tokens = held(&social.access_tokens);
    let found = bearer(request).and_then(|token| Some((token, tokens.get(token)?)));
    let Some((token, wanted)) = found else { return refusal("Invalid OAuth access token.") };
    let mut proof = hmac_sha256(social.config.app_secret.as_bytes());
    proof.update(token.as_bytes());
    if appsecret_proof != Some(hex::encode(proof.finalize().into_bytes())) {
        return refusal("Invalid appsecret_proof provided in the API argument");
    }
    let mut person = json!({ "id": wanted.sub });
    for (name, value) in [("email", &wanted.email), ("name", &wanted.name)] {
        if let Some(value) = value {
            person[name] = json!(value);
        }
    }
    Json(person).into_response()
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization").and_then(|text| text.strip_prefix("Bearer "))
}

fn refusal(message: &str) -> Response {
    let error = json!({ "error": { "message": message, "type": "OAuthException", "code": 190 } });
    Json(error).with_status(StatusCode::BAD_REQUEST).into_response()
}
