//! ID tokens (OpenID Connect), checked against the provider's keys: RS256, and nothing else the token may ask for.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use crate::social::SocialError;
use crate::social::jwks::Jwks;

/// How far the provider's clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 8_192;

/// Who has to have said it, and to whom.
pub(super) struct Expected<'a> {
    pub(super) issuers: &'a [&'a str],
    pub(super) audience: &'a str,
}

/// What an ID token says of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct IdClaims {
    pub(super) sub: String,
    /// One text: a token for several clients is not for us.
    aud: String,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<bool>,
    pub(super) name: Option<String>,
}

/// What the token says, if the provider signed it for us and it is good now.
pub(super) async fn verify(
    token: &str,
    keys: &Jwks,
    expected: &Expected<'_>,
    now: DateTime<Utc>,
) -> Result<IdClaims, SocialError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(SocialError::refused("it is too long"));
    }
    let head = decode_header(token).map_err(SocialError::refused)?;
    let kid = head.kid.filter(|_| head.alg == Algorithm::RS256 && head.crit.is_none());
    let kid = kid.ok_or_else(|| SocialError::refused("it is not signed with a key of the provider"))?;
    let key = keys.key(&kid).await?.ok_or_else(|| SocialError::refused("the provider has no such key"))?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(expected.issuers);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.validate_exp = false; // against our own clock, below
    let claims = decode::<IdClaims>(token, &key, &validation).map_err(SocialError::refused)?.claims;
    let now = now.timestamp();
    if now >= claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(SocialError::refused("it has expired"));
    }
    if now < claims.nbf.unwrap_or(claims.iat).max(claims.iat).saturating_sub(LEEWAY_SECONDS) {
        return Err(SocialError::refused("it is not good yet"));
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 || claims.aud != expected.audience {
        return Err(SocialError::refused("it names nobody, or is for somebody else"));
    }
    Ok(claims)
}
