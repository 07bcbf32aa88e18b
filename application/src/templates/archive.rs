//! Templates and groups as they once were: a snapshot is a point in the log with a note, its content what the log leads
//! to up to there, and a restore is new commands that lead back; nothing is rewritten.

pub mod restore;
pub mod views;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{TenantId, UserId};
use serde_json::Value;
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::log::Position;
use crate::templates::archive::views::{ArchiveContent, SnapshotView};
use crate::templates::care::TemplateCare;
use crate::templates::groups::GroupDocument;
use crate::templates::views::TemplateDocument;

/// Characters of a note at most.
pub const NOTE_CHARS_MAX: usize = 500;
/// Snapshots that are listed.
pub const SNAPSHOTS_MAX: u32 = 200;

/// Templates and groups at some point, gone and deleted ones too.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArchiveState {
    /// The templates, by name and language.
    pub templates: Vec<TemplateDocument>,
    /// The groups, oldest first.
    pub groups: Vec<GroupDocument>,
}

/// A point somebody marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: Uuid,
    /// The point.
    pub position: Position,
    /// When it was marked.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: UserId,
    /// What for.
    pub note: String,
    /// Templates there were then.
    pub templates: u32,
    /// Groups there were then.
    pub groups: u32,
}

/// Keeps snapshots, and tells how things stood.
#[async_trait]
pub trait TemplateArchive: Send + Sync {
    /// The account's last event.
    async fn head(&self, tenant: TenantId) -> AppResult<Position>;
    /// How templates and groups stood at a position.
    async fn state(&self, tenant: TenantId, at: Position) -> AppResult<ArchiveState>;
    /// Keeps a snapshot, with an audit entry in the same transaction.
    async fn keep(&self, session: &Session, snapshot: &Snapshot) -> AppResult<()>;
    /// Snapshots, the newest first.
    async fn list(&self, tenant: TenantId, limit: u32) -> AppResult<Vec<Snapshot>>;
    /// One snapshot.
    async fn get(&self, tenant: TenantId, id: Uuid) -> AppResult<Option<Snapshot>>;
    /// Notes in the audit entries that a snapshot was restored, and what came of it.
    async fn restored(&self, session: &Session, snapshot: Uuid, counts: Value) -> AppResult<()>;
}

impl TemplateCare {
    /// Marks how templates and groups stand.
    ///
    /// # Errors
    /// They cannot be read, or the snapshot cannot be kept.
    pub async fn snapshot(&self, session: &Session, note: Option<String>) -> AppResult<SnapshotView> {
        let position = self.archive.head(session.tenant).await?;
        let state = self.archive.state(session.tenant, position).await?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let snapshot = Snapshot {
            id: self.ids.new_id(),
            position,
            at: self.clock.now(),
            by: session.user,
            note: note.unwrap_or_default().trim().to_owned(),
            templates: count(state.templates.iter().filter_map(|it| it.known()).filter(|it| it.is_live()).count()),
            groups: count(state.groups.iter().filter(|it| it.open().is_some()).count()),
        };
        self.archive.keep(session, &snapshot).await?;
        Ok(snapshot.into())
    }

    /// The snapshots, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn snapshots(&self, session: &Session) -> AppResult<Vec<SnapshotView>> {
        let found = self.archive.list(session.tenant, SNAPSHOTS_MAX).await?;
        Ok(found.into_iter().map(SnapshotView::from).collect())
    }

    /// What a snapshot holds.
    ///
    /// # Errors
    /// It is not there.
    pub async fn snapshot_content(&self, session: &Session, id: Uuid) -> AppResult<(SnapshotView, ArchiveContent)> {
        let snapshot = self.marked(session, id).await?;
        let state = self.archive.state(session.tenant, snapshot.position).await?;
        Ok((snapshot.into(), ArchiveContent::of(&state)))
    }

    async fn marked(&self, session: &Session, id: Uuid) -> AppResult<Snapshot> {
        self.archive.get(session.tenant, id).await?.ok_or(AppError::NotFound("snapshot"))
    }
}
