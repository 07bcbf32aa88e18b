//! Session and API tokens: HS256 JWTs with keys of our own, each called by its `kid`.
//!
//! Of what a token says of itself nothing is believed before its signature fits: the algorithm and the type are
//! fixed, and `kid` is looked up among the keys that are held, whatever text it is.

pub mod keys;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::shared::ids::{TenantId, UserId};
use jsonwebtoken::{Algorithm, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::security::jwt::keys::KeySet;

const ISSUER: &str = "flowbot";
const ALGORITHM: &str = "HS256";
const TYPE: &str = "JWT";

/// How far another node's clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// The longest text that is looked at; ours have about 500 bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// What a token is good for; one kind is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// A person in a browser.
    Session,
    /// A program holding API credentials.
    Api,
}

/// What a token says; every claim is required, and there are no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Always `flowbot`.
    pub iss: String,
    /// What it is good for.
    pub aud: Audience,
    /// The person.
    pub sub: UserId,
    /// The account.
    pub tid: TenantId,
    /// The session.
    pub sid: Uuid,
    /// The token's own id.
    pub jti: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not good before, in seconds since 1970.
    pub nbf: i64,
    /// Expires at, in seconds since 1970.
    pub exp: i64,
}

/// The head of a token: these members, and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    alg: String,
    typ: String,
    kid: String,
}

/// Why a token was not issued or not taken. Callers answer 401 to all of them alike.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as ours do.
    #[error("the head of the token is none of ours")]
    Head,
    /// No key that is held is called so.
    #[error("the token names no key of ours")]
    Key,
    /// Malformed, forged, of another issuer or audience, or lacking a claim.
    #[error("the token is not valid: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It claims to be issued later than now, beyond the leeway.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl Claims {
    /// What a token says that stands for this.
    pub fn new(audience: Audience, sub: UserId, tid: TenantId, (sid, jti): (Uuid, Uuid), good: &Good) -> Self {
        let iat = good.from.timestamp();
        Self { iss: ISSUER.to_owned(), aud: audience, sub, tid, sid, jti, iat, nbf: iat, exp: good.until.timestamp() }
    }
}

/// When a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Good {
    /// Since when.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// Signs with the current key.
///
/// # Errors
/// It cannot be encoded.
pub fn issue(keys: &KeySet, claims: &Claims) -> Result<String, TokenError> {
    let (kid, key) = keys.current();
    let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    Ok(encode(&header, claims, key)?)
}

/// What `token` says, if one of the keys signed it and it is good at `now` (±30 s).
///
/// # Errors
/// [`TokenError`] says why it is not taken.
pub fn read(keys: &KeySet, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
    let head = head(token).filter(|it| it.alg == ALGORITHM && it.typ == TYPE).ok_or(TokenError::Head)?;
    let key = keys.get(&head.kid).ok_or(TokenError::Key)?;
    let claims = decode::<Claims>(token, key, &validation())?.claims;
    let now = now.timestamp();
    if now >= claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenError::Expired);
    }
    if now < claims.nbf.max(claims.iat).saturating_sub(LEEWAY_SECONDS) {
        return Err(TokenError::NotYetValid);
    }
    Ok(claims)
}

fn head(token: &str) -> Option<Head> {
    let (head, _) = token.split_once('.').filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["session", "api"]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    validation.validate_exp = false; // against our own clock, in `read`
    validation
}

#[cfg(test)]
mod tests;
