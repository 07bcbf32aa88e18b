//! What is shown of snapshots and of a restore.

use domain::shared::ids::{TemplateGroupId, TemplateId};
use domain::template_group::Member;
use domain::template_group::pick_strategy::PickStrategy;
use uuid::Uuid;

use crate::templates::archive::{ArchiveState, Snapshot};
use crate::time::Stamp;

/// A point somebody marked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SnapshotView {
    /// Its id.
    pub id: Uuid,
    /// The point in the log, as histories show it.
    pub position: String,
    /// When it was marked.
    pub at: Stamp,
    /// By whom.
    pub by: Uuid,
    /// What for.
    pub note: String,
    /// Templates there were then.
    pub templates: u32,
    /// Groups there were then.
    pub groups: u32,
}

/// A group as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ArchivedGroup {
    /// Its id.
    pub id: TemplateGroupId,
    /// Its name.
    pub name: String,
    /// What it was for.
    pub description: String,
    /// How its templates were picked.
    pub pick_strategy: PickStrategy,
    /// The line it was pinned to.
    pub preferred_phone_number_id: Option<String>,
    /// Its templates, in their order.
    pub templates: Vec<Member>,
}

/// A template as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ArchivedTemplate {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Its category.
    pub category: Option<String>,
    /// Where it stood at Meta.
    pub status: String,
    /// Whether it was approved for work.
    pub is_work_approved: bool,
    /// Whether somebody here had paused it.
    pub paused_here: bool,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct ArchiveContent {
    /// The groups there were, oldest first.
    pub groups: Vec<ArchivedGroup>,
    /// The templates there were, by name and language.
    pub templates: Vec<ArchivedTemplate>,
}

/// What a restore did to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RestoredGroup {
    /// The group.
    pub id: TemplateGroupId,
    /// Its name.
    pub name: String,
    /// `restored`, `unchanged`, `kept` (made since, and left as it is), `deleted` (made since), or `failed`.
    pub result: String,
    /// What could not be brought back with it, and why.
    pub notes: Vec<String>,
}

/// What a restore did to a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RestoredTemplate {
    /// The template.
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// `restored`, `unchanged`, `gone` (deleted at Meta since: it cannot be brought back), or `failed`.
    pub result: String,
    /// Why it cannot be brought back, or what was brought back.
    pub notes: Vec<String>,
    /// Until when its name cannot be used again.
    pub name_blocked_until: Option<Stamp>,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RestoreReport {
    /// Whether nothing was done, and this is what would be.
    pub dry_run: bool,
    /// Groups and templates that were brought back.
    pub restored: u32,
    /// Those that were as they had been.
    pub unchanged: u32,
    /// Those that could not be brought back.
    pub not_restored: u32,
    /// Every group.
    pub groups: Vec<RestoredGroup>,
    /// Every template that was changed or cannot be brought back.
    pub templates: Vec<RestoredTemplate>,
}

impl From<Snapshot> for SnapshotView {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            id: snapshot.id,
            position: snapshot.position.to_string(),
            at: Stamp(snapshot.at),
            by: snapshot.by.0,
            note: snapshot.note,
            templates: snapshot.templates,
            groups: snapshot.groups,
        }
    }
}

impl ArchiveContent {
    /// What is shown of a state.
    pub fn of(state: &ArchiveState) -> Self {
        let groups = state.groups.iter().filter_map(|it| it.open()).map(|group| ArchivedGroup {
            id: group.id,
            name: group.name.clone(),
            description: group.description.clone(),
            pick_strategy: group.strategy,
            preferred_phone_number_id: group.phone_number_id.clone(),
            templates: group.members.clone(),
        });
        let templates = state.templates.iter().filter_map(|it| it.known()).filter(|it| it.is_live());
        let templates = templates.map(|it| ArchivedTemplate {
            id: it.id,
            name: it.name.clone(),
            language: it.language.clone(),
            category: it.category.as_ref().map(ToString::to_string),
            status: it.status.to_string(),
            is_work_approved: it.is_work_approved,
            paused_here: it.own_pause.is_some(),
        });
        Self { groups: groups.collect(), templates: templates.collect() }
    }
}
