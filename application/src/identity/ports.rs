//! What signing in needs from outside: hashes, signatures, keys.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::UserId;
use uuid::Uuid;

use crate::error::AppResult;
use crate::identity::sessions::SessionKind;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The session it stands for.
    pub session: Uuid,
    /// Whose.
    pub user: UserId,
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
pub trait Tokens: Send + Sync {
    /// Signs.
    ///
    /// # Errors
    /// It cannot be signed.
    fn sign(&self, claims: &Claims) -> AppResult<String>;
    /// What a genuine, unexpired token says.
    fn read(&self, token: &str) -> Option<Claims>;
}

/// API keys.
pub trait ApiKeys: Send + Sync {
    /// A fresh client id, key, and the key's hash.
    ///
    /// # Errors
    /// The system gives no random bytes.
    fn make(&self) -> AppResult<(String, String, String)>;
    /// Whether the key belongs to the hash, in constant time.
    fn verify(&self, hash: Option<&str>, key: &str) -> bool;
}
