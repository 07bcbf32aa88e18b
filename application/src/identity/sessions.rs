//! Sessions: what a token stands for, and what ends it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::access::Access;
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use uuid::Uuid;

use crate::error::AppResult;

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A person at a browser.
    Session,
    /// A system with API credentials.
    Api,
}

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// Made for what.
    pub kind: SessionKind,
    /// Until when.
    pub expires_at: DateTime<Utc>,
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
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Sessions, by the database's word.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session.
    async fn open(&self, session: &NewSession) -> AppResult<()>;
    /// A session that is not revoked, of somebody who may still sign in.
    async fn get(&self, id: Uuid) -> AppResult<Option<SessionRecord>>;
    /// Ends a session.
    async fn revoke(&self, id: Uuid) -> AppResult<()>;
}
