//! `GET,POST /api/templates/archive-history`.

use std::sync::Arc;

use application::templates::archive::restore::RestoreWish;
use application::templates::archive::views::{ArchiveContent, RestoreReport, SnapshotView};
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, Change, Failure, Read};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::Id;
use crate::security::may::{May, Templates};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ArchiveAction {
    /// Mark how templates and groups stand now. Takes a `note`.
    Snapshot,
    /// Bring groups, work approvals and our own pauses back to what they were. Takes a `snapshotId`.
    Restore,
}

/// What to do.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct ArchiveRequest {
    /// What.
    action: ArchiveAction,
    /// What the snapshot is for; for `snapshot`.
    #[oai(validator(max_length = 500))]
    note: Option<String>,
    /// To which snapshot; for `restore`.
    snapshot_id: Option<Uuid>,
    /// Tell what a restore would do, and do nothing.
    dry_run: Option<bool>,
    /// Delete groups that were made since; they are kept otherwise.
    delete_newer: Option<bool>,
}

impl ArchiveRequest {
    fn restore(&self) -> Result<RestoreWish, ApiError> {
        let missing = || ApiError::invalid("invalid_request", "`restore` takes a `snapshotId`");
        if self.note.is_some() {
            return Err(ApiError::invalid("invalid_request", "`note` goes with `snapshot` alone"));
        }
        Ok(RestoreWish {
            snapshot: self.snapshot_id.ok_or_else(missing)?,
            dry_run: self.dry_run.unwrap_or_default(),
            delete_newer: self.delete_newer.unwrap_or_default(),
        })
    }

    fn note(self) -> Result<Option<String>, ApiError> {
        if self.snapshot_id.is_some() || self.dry_run.is_some() || self.delete_newer.is_some() {
            let words = "`snapshotId`, `dryRun` and `deleteNewer` go with `restore` alone";
            return Err(ApiError::invalid("invalid_request", words));
        }
        Ok(self.note)
    }
}

/// What came of it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct ArchiveResult {
    /// Always true.
    success: bool,
    /// What was done.
    action: ArchiveAction,
    /// The snapshot that was taken.
    snapshot: Option<SnapshotView>,
    /// What the restore did.
    report: Option<RestoreReport>,
}

/// The snapshots.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct ArchiveHistory {
    /// The snapshots, the newest first, 200 at most; the one that was asked for alone.
    snapshots: Vec<SnapshotView>,
    /// What the one that was asked for holds.
    content: Option<ArchiveContent>,
}

/// Templates and groups as they were.
pub struct ArchiveHistoryApi;

#[OpenApi(prefix_path = "/templates/archive-history", tag = "Group::Templates")]
impl ArchiveHistoryApi {
    /// List snapshots
    ///
    /// Points in the log that somebody marked. With `snapshotId`, that one with what it holds: groups and templates as
    /// the log leads to them up to there.
    #[oai(path = "/", method = "get", operation_id = "listTemplateSnapshots")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// This snapshot, with its content.
        #[oai(name = "snapshotId")]
        snapshot_id: Query<Option<Id>>,
    ) -> Result<Json<ArchiveHistory>, Failure<Read>> {
        let care = &app.template_care;
        let Some(id) = snapshot_id.0 else {
            let snapshots = care.snapshots(&caller.session).await?;
            return Ok(Json(ArchiveHistory { snapshots, content: None }));
        };
        let (snapshot, content) = care.snapshot_content(&caller.session, id.0).await?;
        Ok(Json(ArchiveHistory { snapshots: vec![snapshot], content: Some(content) }))
    }

    /// Take a snapshot, or restore one
    ///
    /// `snapshot` marks how templates and groups stand. `restore` leads back to one: groups with their templates, strategy
    /// and line, back from deletion where need be, and the work approvals and our own pauses of templates. It does so by
    /// new events; nothing is rewritten. The report is honest by item: a template that was deleted at Meta cannot be
    /// brought back, and its name may be blocked for 30 days. Groups made since are kept unless `deleteNewer`.
    #[oai(path = "/", method = "post", operation_id = "archiveTemplates")]
    async fn act(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<ArchiveRequest>,
    ) -> Result<Json<ArchiveResult>, Failure<Change>> {
        let (care, action) = (&app.template_care, body.0.action);
        let (snapshot, report) = match action {
            ArchiveAction::Snapshot => (Some(care.snapshot(&caller.session, body.0.note()?).await?), None),
            ArchiveAction::Restore => (None, Some(care.restore(&caller.session, body.0.restore()?).await?)),
        };
        Ok(Json(ArchiveResult { success: true, action, snapshot, report }))
    }
}
