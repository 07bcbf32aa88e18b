//! The identity ports over this room's tools.

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::identity::ports::{ApiKeys, Claims, FreshKey, Passwords, Tokens};
use application::identity::sessions::SessionKind;
use application::time::Clock;
use async_trait::async_trait;
use chrono::DateTime;

use crate::postgres::signing_keys::PgSigningKeys;
use crate::security::jwt::{self, Audience, Good};
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

/// JWTs with keys under the master key, by our clock.
pub struct JwtTokens {
    /// The keys.
    pub keys: Arc<PgSigningKeys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Tokens for JwtTokens {
    async fn sign(&self, claims: &Claims) -> AppResult<String> {
        let audience = match claims.kind {
            SessionKind::Session => Audience::Session,
            SessionKind::Api => Audience::Api,
        };
        let good = Good { from: claims.issued_at, until: claims.expires_at };
        let told = jwt::Claims::new(audience, claims.user, claims.account, (claims.session, claims.id), &good);
        let keys = self.keys.set(self.clock.now()).await?;
        jwt::issue(&keys, &told).map_err(AppError::internal)
    }

    async fn read(&self, token: &str) -> AppResult<Option<Claims>> {
        let now = self.clock.now();
        let keys = self.keys.set(now).await?;
        Ok(jwt::read(&keys, token, now).ok().and_then(|told| {
            Some(Claims {
                id: told.jti,
                session: told.sid,
                user: told.sub,
                account: told.tid,
                kind: match told.aud {
                    Audience::Session => SessionKind::Session,
                    Audience::Api => SessionKind::Api,
                },
                issued_at: DateTime::from_timestamp(told.iat, 0)?,
                expires_at: DateTime::from_timestamp(told.exp, 0)?,
            })
        }))
    }
}

/// Random API credentials, kept as hashes.
pub struct HashedApiKeys;

impl ApiKeys for HashedApiKeys {
    fn make(&self) -> AppResult<FreshKey> {
        let credentials = api_key::ApiCredentials::generate().map_err(AppError::internal)?;
        let hash = api_key::hash(&credentials.secret_key);
        let prefix = api_key::prefix(&credentials.secret_key).to_owned();
        Ok(FreshKey { client_id: credentials.client_id, key: credentials.secret_key, prefix, hash })
    }

    fn verify(&self, hash: Option<&str>, key: &str) -> bool {
        api_key::verify_or_dummy(key, hash)
    }
}
