//! The identity ports over this room's tools.

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::identity::ports::{ApiKeys, Claims, Passwords, Tokens};
use application::identity::sessions::SessionKind;
use application::time::Clock;
use async_trait::async_trait;
use chrono::DateTime;
use domain::shared::ids::TenantId;

use crate::security::jwt::{Audience, SessionTokens, Subject};
use crate::security::{api_key, password};

/// Argon2id passwords.
pub struct Argon2Passwords;

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: String) -> AppResult<String> {
        password::hash(&password).await.map_err(AppError::internal)
    }

    async fn verify(&self, hash: Option<String>, password: String) -> AppResult<bool> {
        password::verify_or_dummy(hash.as_deref(), &password).await.map_err(AppError::internal)
    }
}

/// JWTs under the master key, by our clock.
pub struct JwtTokens {
    /// Signs and checks.
    pub tokens: SessionTokens,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Tokens for JwtTokens {
    fn sign(&self, claims: &Claims) -> AppResult<String> {
        let audience = match claims.kind {
            SessionKind::Session => Audience::Session,
            SessionKind::Api => Audience::Api,
        };
        // The role is looked up with the session at every request; the token's copy decides nothing.
        let subject = Subject {
            user: claims.user,
            tenant: TenantId(claims.user.0),
            role: "user".to_owned(),
            session: claims.session,
        };
        let lifetime = claims.expires_at - claims.issued_at;
        self.tokens.issue(audience, &subject, claims.session, claims.issued_at, lifetime).map_err(AppError::internal)
    }

    fn read(&self, token: &str) -> Option<Claims> {
        let now = self.clock.now();
        let kinds = [(Audience::Session, SessionKind::Session), (Audience::Api, SessionKind::Api)];
        kinds.into_iter().find_map(|(audience, kind)| {
            let claims = self.tokens.verify(audience, token, now).ok()?;
            Some(Claims {
                session: claims.sid,
                user: claims.sub,
                kind,
                issued_at: DateTime::from_timestamp(claims.iat, 0)?,
                expires_at: DateTime::from_timestamp(claims.exp, 0)?,
            })
        })
    }
}

/// Random API credentials, kept as hashes.
pub struct HashedApiKeys;

impl ApiKeys for HashedApiKeys {
    fn make(&self) -> AppResult<(String, String, String)> {
        let credentials = api_key::ApiCredentials::generate().map_err(AppError::internal)?;
        let hash = api_key::hash(&credentials.secret_key);
        Ok((credentials.client_id, credentials.secret_key, hash))
    }

    fn verify(&self, hash: Option<&str>, key: &str) -> bool {
        hash.is_some_and(|hash| api_key::verify(key, hash))
    }
}
