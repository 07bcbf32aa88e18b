//! Session and API tokens: HS256 JWTs under a key derived from the master key.

use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::{TenantId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::security::derive_key;

const ISSUER: &str = "flowbot";
const KEY_LABEL: &str = "flowbot/jwt/v1";

/// How far another node's clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 30;

/// What a token is good for; one kind is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// A person in a browser.
    Session,
    /// A program holding API credentials.
    Api,
}

impl Audience {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Api => "api",
        }
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The person.
    pub user: UserId,
    /// The account they act in.
    pub tenant: TenantId,
    /// Their role, as the word on the wire.
    pub role: String,
    /// The session that can be revoked.
    pub session: Uuid,
}

/// What a token says; every field is required.
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
    /// The role.
    pub role: String,
    /// The session.
    pub sid: Uuid,
    /// The token's own id.
    pub jti: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Expires at, in seconds since 1970.
    pub exp: i64,
}

/// Why a token was not issued or not taken. Callers answer 401 to all of them alike.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Malformed, forged, of another algorithm, issuer or audience, or lacking a claim.
    #[error("the token is not valid: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It claims to be issued later than now, beyond the leeway.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// Issues and checks tokens. The algorithm is fixed, and time is the caller's.
#[derive(Clone)]
pub struct SessionTokens {
    signing: EncodingKey,
    checking: DecodingKey,
}

impl SessionTokens {
    /// Tokens under the master key.
    #[must_use]
    pub fn new(master: &[u8; 32]) -> Self {
        let key = derive_key(master, KEY_LABEL);
        Self { signing: EncodingKey::from_secret(&key), checking: DecodingKey::from_secret(&key) }
    }

    /// A token `id` for `subject`, good from `now` for `lifetime`.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn issue(
        &self,
        audience: Audience,
        subject: &Subject,
        id: Uuid,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Result<String, TokenError> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: audience,
            sub: subject.user,
            tid: subject.tenant,
            role: subject.role.clone(),
            sid: subject.session,
            jti: id,
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
        };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &self.signing)?)
    }

    /// What `token` says, if it was issued here for `audience` and is good at `now` (±30 s).
    ///
    /// # Errors
    /// [`TokenError`] says why it is not taken.
    pub fn verify(&self, audience: Audience, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let claims = decode::<Claims>(token, &self.checking, &validation(audience))?.claims;
        if now.timestamp() >= claims.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenError::Expired);
        }
        if now.timestamp() < claims.iat.saturating_sub(LEEWAY_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(claims)
    }
}

fn validation(audience: Audience) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience.as_str()]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.validate_exp = false; // against our own clock, in `verify`
    validation
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn subject() -> Subject {
        Subject {
            user: UserId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            role: "admin".to_owned(),
            session: Uuid::from_u128(3),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn issued() -> (SessionTokens, String) {
        let tokens = SessionTokens::new(&[1; 32]);
        let token =
            tokens.issue(Audience::Session, &subject(), Uuid::from_u128(4), at(0), TimeDelta::minutes(15)).unwrap();
        (tokens, token)
    }

    #[test]
    fn a_token_comes_back_with_its_subject_while_it_lasts() {
        let (tokens, token) = issued();
        let claims = tokens.verify(Audience::Session, &token, at(929)).unwrap();
        assert_eq!((claims.sub, claims.tid, claims.sid), (subject().user, subject().tenant, subject().session));
        assert!(matches!(tokens.verify(Audience::Session, &token, at(930)), Err(TokenError::Expired)));
        assert!(matches!(tokens.verify(Audience::Session, &token, at(-31)), Err(TokenError::NotYetValid)));
    }

    #[test]
    fn other_audiences_keys_and_algorithms_are_refused() {
        let (tokens, token) = issued();
        assert!(tokens.verify(Audience::Api, &token, at(1)).is_err());
        assert!(SessionTokens::new(&[2; 32]).verify(Audience::Session, &token, at(1)).is_err());
        let body = token.split('.').nth(1).unwrap();
        let none = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#));
        assert!(tokens.verify(Audience::Session, &none, at(1)).is_err());
        let claims = tokens.verify(Audience::Session, &token, at(1)).unwrap();
        let other = encode(&Header::new(Algorithm::HS512), &claims, &tokens.signing).unwrap();
        assert!(tokens.verify(Audience::Session, &other, at(1)).is_err());
    }

    #[test]
    fn every_claim_is_required_and_no_bit_can_be_changed() {
        let (tokens, token) = issued();
        let claims = serde_json::to_value(tokens.verify(Audience::Session, &token, at(1)).unwrap()).unwrap();
        for name in ["iss", "aud", "sub", "tid", "role", "sid", "jti", "iat", "exp"] {
            let mut lacking = claims.clone();
            lacking.as_object_mut().unwrap().remove(name);
            let token = encode(&Header::new(Algorithm::HS256), &lacking, &tokens.signing).unwrap();
            assert!(tokens.verify(Audience::Session, &token, at(1)).is_err(), "{name} is missing");
        }
        for place in [0, token.len() / 2, token.len() - 10] {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1;
            assert!(tokens.verify(Audience::Session, &String::from_utf8(bytes).unwrap(), at(1)).is_err());
        }
    }
}
