//! Audit entries: who changed people, keys, settings, permissions and whatever else is no event. Written by the
//! transaction of the change, never changed, and read in an order in which none appears behind a cursor.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{AppError, AppResult};
use crate::log::Position;
use crate::page::{Cursor, Page, PageRequest};
use crate::time::Stamp;

/// Entries a walk reads at a time.
const WALK_PAGE: u32 = 1_000;
/// The second half of a cursor, which a position does not need.
const CURSOR_KEY: &str = "entry";

/// Somebody changed something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "AuditEntry"))]
pub struct EntryView {
    /// Its number; later changes have greater ones.
    pub id: i64,
    /// When.
    pub at: Stamp,
    /// Who: `user:<id>`, `system`, `command line`.
    pub actor: String,
    /// What was done, such as `employee.created`.
    pub action: String,
    /// To whom or what: an id, or a name.
    pub subject: String,
    /// What of it. Never a secret.
    pub details: Value,
}

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryFilter {
    /// Of one of these actions; empty for all.
    pub actions: Vec<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// About this one.
    pub subject: Option<String>,
    /// From then on, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Until then, inclusive.
    pub to: Option<DateTime<Utc>>,
    /// The newest first.
    pub newest_first: bool,
}

/// A part of the entries, in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Exclusive.
    pub after: Option<Position>,
    /// Inclusive; only when the oldest comes first.
    pub until: Option<Position>,
}

/// An entry where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Where among the entries of all accounts.
    pub position: Position,
    /// The entry.
    pub entry: EntryView,
}

/// Reads entries.
#[async_trait]
pub trait EntryReader: Send + Sync {
    /// The account's newest entry; none can appear before it any more.
    async fn end(&self, tenant: TenantId) -> AppResult<Option<Position>>;
    /// The first entries of a part, up to `limit`.
    async fn read(&self, tenant: TenantId, filter: &EntryFilter, part: Part, limit: u32) -> AppResult<Vec<Placed>>;
}

/// The audit entries of accounts.
pub struct Entries {
    /// Where they come from.
    pub reader: Arc<dyn EntryReader>,
}

impl Entries {
    /// A page.
    ///
    /// # Errors
    /// The cursor is none of ours.
    pub async fn page(&self, tenant: TenantId, filter: &EntryFilter, page: &PageRequest) -> AppResult<Page<EntryView>> {
        let part = Part { after: place(page.after.as_ref())?, until: None };
        let mut rows = self.reader.read(tenant, filter, part, page.limit + 1).await?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        let cursor = |last: &Placed| Cursor { sort: last.position.to_string(), key: CURSOR_KEY.to_owned() };
        let next = rows.last().filter(|_| more).map(cursor);
        Ok(Page { rows, next, total: None }.map(|placed| placed.entry))
    }

    /// All of them from the cursor on, as they are when the walk begins.
    ///
    /// # Errors
    /// The cursor is none of ours.
    pub async fn walk(&self, tenant: TenantId, filter: EntryFilter, after: Option<&Cursor>) -> AppResult<EntryWalk> {
        let after = place(after)?;
        let end = self.reader.end(tenant).await?;
        // Going back in time, nothing new comes in the way.
        let part = Part { after, until: end.filter(|_| !filter.newest_first) };
        Ok(EntryWalk { reader: Arc::clone(&self.reader), tenant, filter, part, more: end.is_some() })
    }
}

fn place(cursor: Option<&Cursor>) -> AppResult<Option<Position>> {
    let place = |cursor: &Cursor| cursor.sort.parse().ok().filter(|_| cursor.key == CURSOR_KEY);
    let bad = || AppError::not_our_cursor();
    cursor.map(|cursor| place(cursor).ok_or_else(bad)).transpose()
}

/// Entries on their way, part by part.
pub struct EntryWalk {
    reader: Arc<dyn EntryReader>,
    tenant: TenantId,
    filter: EntryFilter,
    part: Part,
    more: bool,
}

impl EntryWalk {
    /// The next entries; `None` at the end.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn next(&mut self) -> AppResult<Option<Vec<EntryView>>> {
        if !self.more {
            return Ok(None);
        }
        let rows = self.reader.read(self.tenant, &self.filter, self.part, WALK_PAGE).await?;
        self.part.after = rows.last().map(|last| last.position).or(self.part.after);
        self.more = rows.len() == WALK_PAGE as usize;
        Ok(Some(rows.into_iter().map(|placed| placed.entry).collect()))
    }
}
