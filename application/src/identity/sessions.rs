//! Sessions: what a token stands for, how long it lasts, and what ends it.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Access;
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::Identity;
use crate::identity::ports::Claims;
use crate::page::{Page, PageRequest};
use crate::time::Stamp;

/// How long a session outlives its last use: 12 hours.
pub const IDLE_MAX: TimeDelta = TimeDelta::hours(12);
/// How long a session lives at most, however much it is used: 30 days.
pub const LIFE_MAX: TimeDelta = TimeDelta::days(30);
/// How often the use of a session is written down: a page that asks every second writes once in 5 minutes.
pub const NOTED_EVERY: TimeDelta = TimeDelta::minutes(5);

/// When a session ends that was opened then and used now.
pub fn expiry(opened_at: DateTime<Utc>, used_at: DateTime<Utc>) -> DateTime<Utc> {
    (used_at + IDLE_MAX).min(opened_at + LIFE_MAX)
}

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A person at a browser.
    Session,
    /// A system with API credentials.
    Api,
}

/// Where somebody signs in from, as they say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The program.
    pub user_agent: Option<String>,
    /// The network address.
    pub address: Option<String>,
}

/// What opened the door. It must still be so when the session is opened: a password or a key that is changed at the
/// same moment opens nothing any more.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// The password with this hash.
    Password(String),
    /// The API key with this hash.
    Key(String),
    /// Something that was checked elsewhere.
    Other,
}

/// A session to be opened.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// Made for what.
    pub kind: SessionKind,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// From where.
    pub origin: Origin,
    /// By what.
    pub proof: Proof,
}

/// A session that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose.
    pub user: UserId,
    /// The account they act in.
    pub tenant: TenantId,
    /// What they may do, by now.
    pub access: Access,
    /// The language they chose.
    pub language: Option<Language>,
    /// Made for what.
    pub kind: SessionKind,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// The last use that was written down.
    pub last_used_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

impl SessionRecord {
    /// Whether it is time to write down that it is used.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        now - self.last_used_at >= NOTED_EVERY
    }
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename = "Session", rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct SessionView {
    /// The id.
    pub id: Uuid,
    /// `session` for a person who signed in, `api` for a token made with the API key.
    pub kind: String,
    /// When it was opened.
    pub created_at: Stamp,
    /// When it was last used, to within 5 minutes.
    pub last_used_at: Stamp,
    /// When it ends unless it is used again.
    pub expires_at: Stamp,
    /// The program it was opened with, as that called itself.
    pub user_agent: Option<String>,
    /// The address it was opened from; of IPv6 the network.
    pub address: Option<String>,
    /// Whether this is the session that asks.
    pub current: bool,
}

/// A session that goes on, with the token that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prolonged {
    /// The token.
    pub token: String,
    /// Seconds it lives.
    pub lives_sec: i64,
}

/// Sessions, by the database's word; every end with an audit entry in the same transaction.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session; the account it acts in, or none when the proof or the person is not good any more.
    async fn open(&self, session: &NewSession) -> AppResult<Option<TenantId>>;
    /// A session that is not revoked, of somebody who may still sign in.
    async fn get(&self, id: Uuid) -> AppResult<Option<SessionRecord>>;
    /// Writes down that it is used and lasts until then; whether that was not written down just before.
    async fn note_use(&self, id: Uuid, used_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> AppResult<bool>;
    /// The person's sessions that have not ended, the newest first.
    async fn of(&self, session: &Session, now: DateTime<Utc>, page: &PageRequest) -> AppResult<Page<SessionView>>;
    /// Ends a session.
    async fn revoke(&self, id: Uuid) -> AppResult<()>;
    /// Ends a session of this person; whether there was one.
    async fn end(&self, session: &Session, id: Uuid) -> AppResult<bool>;
    /// Ends all sessions of this person but the one that asks.
    async fn end_others(&self, session: &Session) -> AppResult<()>;
}

impl Identity {
    /// Makes a session last longer because it is used, when that was not done in the last minutes. API tokens end
    /// when they end: of them only the use is written down.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn prolong(&self, token: &str) -> AppResult<Option<Prolonged>> {
        let Some((claims, record)) = self.look_up(token).await? else { return Ok(None) };
        let now = self.clock.now();
        if !record.is_due(now) {
            return Ok(None);
        }
        let expires_at = match record.kind {
            SessionKind::Session => expiry(record.opened_at, now),
            SessionKind::Api => record.expires_at,
        };
        let noted = self.sessions.note_use(claims.session, now, expires_at).await?;
        if !noted || record.kind == SessionKind::Api {
            return Ok(None);
        }
        let claims = Claims { id: self.ids.new_id(), issued_at: now, expires_at, ..claims };
        let token = self.tokens.sign(&claims).await?;
        Ok(Some(Prolonged { token, lives_sec: (expires_at - now).num_seconds() }))
    }

    /// The person's sessions that have not ended, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn sessions(&self, session: &Session, page: &PageRequest) -> AppResult<Page<SessionView>> {
        self.sessions.of(session, self.clock.now(), page).await
    }

    /// Ends one of the person's sessions.
    ///
    /// # Errors
    /// There is none with this id, or it is somebody else's.
    pub async fn end_session(&self, session: &Session, id: Uuid) -> AppResult<()> {
        if self.sessions.end(session, id).await? { Ok(()) } else { Err(AppError::NotFound("session")) }
    }

    /// Ends all of the person's sessions but the one that asks.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn end_other_sessions(&self, session: &Session) -> AppResult<()> {
        self.sessions.end_others(session).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_12_hours_from_its_last_use_and_30_days_in_all() {
        let opened = DateTime::UNIX_EPOCH;
        assert_eq!(expiry(opened, opened), opened + TimeDelta::hours(12));
        assert_eq!(expiry(opened, opened + TimeDelta::hours(11)), opened + TimeDelta::hours(23));
        let late = opened + TimeDelta::days(29) + TimeDelta::hours(13);
        assert_eq!(expiry(opened, late), opened + TimeDelta::days(30));
    }
}
