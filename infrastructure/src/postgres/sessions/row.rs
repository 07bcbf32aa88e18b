//! Rows of sessions.

use application::error::{AppError, AppResult};
use application::identity::sessions::{SessionKind, SessionRecord, SessionView};
use application::page::Cursor;
use application::time::Stamp;
use chrono::{DateTime, Utc};
use domain::access::{Access, Permission, Role};
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

pub(super) fn kind_word(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Session => "session",
        SessionKind::Api => "api",
    }
}

/// What requests need to know of a session.
pub(super) fn record(row: &PgRow) -> sqlx::Result<SessionRecord> {
    let kind = match row.try_get("kind")? {
        "api" => SessionKind::Api,
        _ => SessionKind::Session,
    };
    let role = match kind {
        SessionKind::Api => Role::Client,
        // The table's check knows these words alone.
        SessionKind::Session => Role::from_word(row.try_get("role")?).unwrap_or(Role::Employee),
    };
    let granted = row.try_get::<Option<Vec<String>>, _>("granted")?.unwrap_or_default();
    let granted = granted.iter().filter_map(|word| Permission::from_word(word)).collect();
    Ok(SessionRecord {
        user: UserId(row.try_get("user_id")?),
        tenant: TenantId(row.try_get("tenant_id")?),
        access: Access { role, granted, verified: row.try_get("verified")? },
        language: row.try_get::<Option<&str>, _>("language")?.and_then(Language::from_word),
        kind,
        opened_at: row.try_get("created_at")?,
        last_used_at: row.try_get("last_used_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// What its owner sees of it.
pub(super) fn view(row: &PgRow) -> sqlx::Result<SessionView> {
    Ok(SessionView {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        created_at: Stamp(row.try_get("created_at")?),
        last_used_at: Stamp(row.try_get("last_used_at")?),
        expires_at: Stamp(row.try_get("expires_at")?),
        user_agent: row.try_get("user_agent")?,
        address: row.try_get("address")?,
        current: row.try_get("current")?,
    })
}

/// Where a page of sessions goes on.
pub(super) fn place(cursor: &Cursor) -> AppResult<(DateTime<Utc>, Uuid)> {
    let at = cursor.sort.parse().ok().and_then(DateTime::from_timestamp_micros);
    let bad = || AppError::not_our_cursor();
    at.zip(cursor.key.parse().ok()).ok_or_else(bad)
}
