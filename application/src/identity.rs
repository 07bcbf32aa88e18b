//! Who may ask: people, their sessions, their API credentials.

pub mod api_access;
pub mod letters;
pub mod ports;
pub mod preferences;
pub mod registration;
pub mod sessions;
pub mod users;
pub mod verification;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::UserId;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::api_access::ApiClients;
use crate::identity::ports::{ApiKeys, Passwords, Tokens};
use crate::identity::sessions::{NewSession, SessionKind, Sessions};
use crate::identity::users::{UserView, Users};
use crate::time::{Clock, NewId};

/// How long a session lives: 12 hours.
pub const SESSION_TTL: TimeDelta = TimeDelta::hours(12);

/// A token with what the client needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Whose it is.
    pub user: UserView,
}

/// Signs people in and tells who asks.
pub struct Identity {
    /// People.
    pub users: Arc<dyn Users>,
    /// Their sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Accounts' API credentials.
    pub clients: Arc<dyn ApiClients>,
    /// Password hashes.
    pub passwords: Arc<dyn Passwords>,
    /// Signed tokens.
    pub tokens: Arc<dyn Tokens>,
    /// API keys.
    pub keys: Arc<dyn ApiKeys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl Identity {
    /// Signs a person in. An unknown name takes as long and says the same as a wrong password.
    ///
    /// # Errors
    /// Name and password do not belong together.
    pub async fn log_in(&self, username: &str, password: &str) -> AppResult<Issued> {
        let found = self.users.credentials(username).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let genuine = self.passwords.verify(hash, password.to_owned()).await?;
        let Some((user, _)) = found.filter(|_| genuine) else {
            return Err(AppError::Unauthorized("the username or the password is wrong".into()));
        };
        self.issue(user, SessionKind::Session, SESSION_TTL).await
    }

    /// Ends a session; what it signed is refused from now on.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn log_out(&self, token: &str) -> AppResult<()> {
        match self.tokens.read(token) {
            Some(claims) => self.sessions.revoke(claims.session).await,
            None => Ok(()),
        }
    }

    /// Who holds this token, if it is genuine, not expired, not revoked, and the person still exists.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn session(&self, token: &str) -> AppResult<Option<(Session, SessionKind)>> {
        let Some(claims) = self.tokens.read(token) else { return Ok(None) };
        let Some(record) = self.sessions.get(claims.session).await? else { return Ok(None) };
        if record.expires_at <= self.clock.now() {
            return Ok(None);
        }
        let session = Session {
            id: claims.session,
            tenant: record.tenant,
            user: record.user,
            access: record.access,
            language: record.language,
            correlation: self.ids.new_id(),
            idempotency_key: None,
        };
        Ok(Some((session, record.kind)))
    }

    async fn issue(&self, user: UserView, kind: SessionKind, ttl: TimeDelta) -> AppResult<Issued> {
        let now = self.clock.now();
        let expires_at = now + ttl;
        let session = self.ids.new_id();
        self.sessions.open(&NewSession { id: session, user: UserId(user.id), kind, expires_at }).await?;
        let token =
            self.tokens.sign(&ports::Claims { session, user: UserId(user.id), kind, issued_at: now, expires_at })?;
        Ok(Issued { token, expires_at, user })
    }
}
