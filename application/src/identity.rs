//! Who may ask: people, their sessions, their API credentials.

pub mod api_access;
pub mod letters;
pub mod ports;
pub mod preferences;
pub mod registration;
pub mod sessions;
pub mod signing_keys;
pub mod social;
pub mod users;
pub mod verification;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::UserId;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::api_access::ApiClients;
use crate::identity::ports::{ApiKeys, Claims, Passwords, Tokens};
use crate::identity::sessions::{IDLE_MAX, NewSession, Origin, Proof, SessionKind, SessionRecord, Sessions};
use crate::identity::users::{UserView, Users};
use crate::time::{Clock, NewId};

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

/// Whoever holds a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The person and their account.
    pub session: Session,
    /// What the token was made for.
    pub kind: SessionKind,
    /// Whether it is time to write down that the session is used.
    pub is_due: bool,
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
    pub async fn log_in(&self, username: &str, password: &str, origin: Origin) -> AppResult<Issued> {
        let found = self.users.credentials(username).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let genuine = self.passwords.verify(hash, password.to_owned()).await?;
        let Some((user, hash)) = found.filter(|_| genuine) else {
            return Err(AppError::Unauthorized("the username or the password is wrong".into()));
        };
        self.issue(user, Proof::Password(hash), IDLE_MAX, origin).await
    }

    /// Ends a session; what it signed is refused from now on.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn log_out(&self, token: &str) -> AppResult<()> {
        match self.tokens.read(token).await? {
            Some(claims) => self.sessions.revoke(claims.session).await,
            None => Ok(()),
        }
    }

    /// Who holds this token, if it is genuine, not expired, not revoked, and the person still exists.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn session(&self, token: &str) -> AppResult<Option<Holder>> {
        let Some((claims, record)) = self.look_up(token).await? else { return Ok(None) };
        let is_due = record.is_due(self.clock.now());
        let session = Session {
            id: claims.session,
            tenant: record.tenant,
            user: record.user,
            access: record.access,
            language: record.language,
            correlation: self.ids.new_id(),
            idempotency_key: None,
        };
        Ok(Some(Holder { session, kind: record.kind, is_due }))
    }

    /// What a token says and the database says of its session; nothing unless both say the same.
    async fn look_up(&self, token: &str) -> AppResult<Option<(Claims, SessionRecord)>> {
        let Some(claims) = self.tokens.read(token).await? else { return Ok(None) };
        let Some(record) = self.sessions.get(claims.session).await? else { return Ok(None) };
        let told = (claims.user, claims.account, claims.kind);
        if record.expires_at <= self.clock.now() || told != (record.user, record.tenant, record.kind) {
            return Ok(None);
        }
        Ok(Some((claims, record)))
    }

    /// Opens a session for somebody who has proved who they are.
    ///
    /// # Errors
    /// They may not sign in any more, or it cannot be stored.
    pub async fn issue(&self, user: UserView, proof: Proof, ttl: TimeDelta, origin: Origin) -> AppResult<Issued> {
        let now = self.clock.now();
        let (session, id, expires_at) = (self.ids.new_id(), UserId(user.id), now + ttl);
        let kind = if matches!(proof, Proof::Key(_)) { SessionKind::Api } else { SessionKind::Session };
        let new = NewSession { id: session, user: id, kind, opened_at: now, expires_at, origin, proof };
        let Some(account) = self.sessions.open(&new).await? else {
            return Err(AppError::Unauthorized("these credentials are not good any more".into()));
        };
        let claims = Claims { id: self.ids.new_id(), session, user: id, account, kind, issued_at: now, expires_at };
        Ok(Issued { token: self.tokens.sign(&claims).await?, expires_at, user })
    }
}
