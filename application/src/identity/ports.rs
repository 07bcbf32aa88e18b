//! What signing in needs from outside: hashes, signatures, keys.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{TenantId, UserId};
use uuid::Uuid;

use crate::error::AppResult;
use crate::identity::sessions::SessionKind;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The token's own id.
    pub id: Uuid,
    /// The session it stands for.
    pub session: Uuid,
    /// Whose.
    pub user: UserId,
    /// The account they act in.
    pub account: TenantId,
    /// Made for what.
    pub kind: SessionKind,
    /// Since when.
    pub issued_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Password hashing (Argon2id).
#[async_trait]
pub trait Passwords: Send + Sync {
    /// A hash to keep.
    async fn hash(&self, password: String) -> AppResult<String>;
    /// Whether the password belongs to the hash; takes as long without one.
    async fn verify(&self, hash: Option<String>, password: String) -> AppResult<bool>;
}

/// Signed tokens (JWT, HS256).
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Signs.
    async fn sign(&self, claims: &Claims) -> AppResult<String>;
    /// What a genuine, unexpired token says.
    async fn read(&self, token: &str) -> AppResult<Option<Claims>>;
}

/// A fresh key with what is kept of it.
#[derive(Clone, PartialEq, Eq)]
pub struct FreshKey {
    /// A client id, for who has none yet.
    pub client_id: String,
    /// The key; shown once.
    pub key: String,
    /// Its beginning, which may be shown.
    pub prefix: String,
    /// Its hash.
    pub hash: String,
}

/// API keys.
pub trait ApiKeys: Send + Sync {
    /// A fresh key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    fn make(&self) -> AppResult<FreshKey>;
    /// Whether the key belongs to the hash, in constant time; takes as long without one.
    fn verify(&self, hash: Option<&str>, key: &str) -> bool;
}
