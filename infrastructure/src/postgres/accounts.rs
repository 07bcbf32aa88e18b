//! How an account ends. Nothing that happened is deleted: events, entries and the rows of its people stay for
//! auditors. What lets anybody in or anything out goes, in one transaction.

use application::error::{AppError, AppResult};
use domain::shared::ids::UserId;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::postgres::{app_error, template_batches};

/// Why what waits for an account never leaves.
const CLOSED: &str = "the account was deleted";

/// Refuses when nobody else administers the installation. Whoever else is about to stop doing so waits for this
/// transaction.
///
/// # Errors
/// It is the last one.
pub(super) async fn keep_an_administrator(conn: &mut PgConnection, leaving: UserId) -> AppResult<()> {
    let sql = "select id from users where role = 'admin' and deleted_at is null order by id for update";
    let all: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(conn).await.map_err(app_error)?;
    if all.contains(&leaving.0) && all.len() == 1 {
        return Err(AppError::conflict("last_administrator", &"somebody has to administer the installation"));
    }
    Ok(())
}

/// Closes an account. What became of what it had; `None` when there is no such account.
pub(super) async fn close(conn: &mut PgConnection, owner: UserId) -> AppResult<Option<Value>> {
    closed(conn, owner.0).await.map_err(app_error)
}

async fn closed(conn: &mut PgConnection, account: Uuid) -> Result<Option<Value>, sqlx::Error> {
    let owner: Option<(String, String)> = sqlx::query_as(
        "update users set deleted_at = now(), active = false, password_hash = ''
          where id = $1 and account_id is null and deleted_at is null returning username, display_name",
    )
    .bind(account)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((username, display_name)) = owner else { return Ok(None) };
    let employees: Vec<Uuid> = sqlx::query_scalar(
        "update users set deleted_at = now(), active = false, password_hash = ''
          where account_id = $1 and deleted_at is null returning id",
    )
    .bind(account)
    .fetch_all(&mut *conn)
    .await?;
    let everybody = [employees.as_slice(), &[account]].concat();
    let sessions = end_sessions(conn, &everybody).await?;
    forget_providers(conn, &everybody).await?;
    let keys = sqlx::query("delete from api_clients where user_id = any($1)").bind(&everybody);
    let keys = keys.execute(&mut *conn).await?.rows_affected();
    // With their secrets: the numbers may be another account's from now on.
    let lines: Vec<String> =
        sqlx::query_scalar("delete from whatsapp_lines where tenant_id = $1 returning phone_number_id")
            .bind(account)
            .fetch_all(&mut *conn)
            .await?;
    // What is leaving at this moment has left; whatever comes of it is recorded.
    let messages = sqlx::query(
        "update outbox set state = 4, last_error = $2, lease_token = null, lease_until = null
          where tenant_id = $1 and state <> 4 and not leaving",
    )
    .bind(account)
    .bind(CLOSED)
    .execute(&mut *conn)
    .await?;
    let jobs = sqlx::query(
        "update jobs set dead = true, last_error = $2, locked_until = null, lock_token = null
          where tenant_id = $1 and not dead",
    )
    .bind(account)
    .bind(CLOSED)
    .execute(&mut *conn)
    .await?;
    let (batches, _) = template_batches::stop(conn, account, None).await?;
    Ok(Some(json!({
        "username": username, "displayName": display_name, "employees": employees, "sessionsEnded": sessions,
        "apiKeysRevoked": keys, "lines": lines, "messagesGivenUp": messages.rows_affected(),
        "timersGivenUp": jobs.rows_affected(), "templateJobsStopped": batches,
    })))
}

/// Ends every session of these people; how many there were.
pub(super) async fn end_sessions(conn: &mut PgConnection, people: &[Uuid]) -> Result<u64, sqlx::Error> {
    let sql = "update sessions set revoked_at = now() where user_id = any($1) and revoked_at is null";
    Ok(sqlx::query(sql).bind(people).execute(conn).await?.rows_affected())
}

/// Nobody signs in as these people with a provider's word any more; who comes with it is somebody new.
pub(super) async fn forget_providers(conn: &mut PgConnection, people: &[Uuid]) -> Result<(), sqlx::Error> {
    let sql = "delete from social_identities where user_id = any($1)";
    sqlx::query(sql).bind(people).execute(conn).await.map(drop)
}
