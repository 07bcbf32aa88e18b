//! Trouble with a line's account: at most one open a line, however many messages meet it.

use application::error::AppResult;
use chrono::{DateTime, Utc};
use domain::shared::provider_error::ProviderError;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::app_error;

/// An incident that a message met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    /// The account.
    pub(crate) tenant: Uuid,
    /// The incident.
    pub(crate) id: i64,
    /// Whether this message is the first.
    pub(crate) opened: bool,
}

/// Counts a message that met trouble, and opens the incident when it is the first. None when the line went on since
/// `seen_at`, or there is no such line, which must be locked.
pub(crate) async fn meet(
    conn: &mut PgConnection,
    line: &str,
    error: &ProviderError,
    seen_at: DateTime<Utc>,
) -> AppResult<Option<Met>> {
    let met: Option<(Uuid, i64, bool)> = sqlx::query_as(
        "insert into incidents (tenant_id, line, code, class, title, details)
         select tenant_id, phone_number_id, $2, $3, $4, $5 from whatsapp_lines
          where phone_number_id = $1 and (stopped_at is not null or updated_at <= $6)
         on conflict (line) where closed_at is null
            do update set messages = incidents.messages + 1, last_seen_at = now()
         returning tenant_id, id, messages = 1",
    )
    .bind(line)
    .bind(error.code)
    .bind(error.class.as_str())
    .bind(&error.title)
    .bind(&error.details)
    .bind(seen_at)
    .fetch_optional(conn)
    .await
    .map_err(app_error)?;
    Ok(met.map(|(tenant, id, opened)| Met { tenant, id, opened }))
}

/// Closes the incident of a line that goes on.
pub(crate) async fn close(conn: &mut PgConnection, line: &str, by: &str, how: &str) -> AppResult<()> {
    let close =
        "update incidents set closed_at = now(), closed_by = $2, closed_how = $3 where line = $1 and closed_at is null";
    sqlx::query(close).bind(line).bind(by).bind(how).execute(conn).await.map_err(app_error)?;
    Ok(())
}

/// Incidents that are open, of all accounts.
///
/// # Errors
/// The database.
pub async fn open(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from incidents where closed_at is null").fetch_one(pool).await
}
