//! Employees: rows of `users` that work in somebody else's account.

use std::sync::Arc;

use application::actor::Session;
use application::effects::Work;
use application::error::{AppError, AppResult};
use application::page::{LIMIT_MAX, Page, PageRequest};
use application::people::employees::{
    EMPLOYEES_MAX, EmployeeChange, EmployeeFilter, EmployeeView, Employees, NewEmployee,
};
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::access::Permission;
use domain::shared::ids::{TenantId, UserId};
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};

use crate::postgres::accounts::{end_sessions, forget_providers};
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::sessions::PgSessions;
use crate::postgres::users::{TAKEN, TAKEN_CODE, cursor, lock_names, permissions, place};
use crate::postgres::{app_error, taken_or};

/// Seconds after somebody was removed in which a node that has not heard may still take a claim of theirs: it hears
/// within 5, and a request takes no longer than the rest.
const LAST_CLAIM_SEC: f64 = 15.0;

macro_rules! columns {
    () => {
        "id, username, display_name, email, phone, team, permissions, active, created_at"
    };
}

/// [`Employees`] on Postgres.
pub struct PgEmployees {
    pool: PgPool,
    sessions: Arc<PgSessions>,
}

impl PgEmployees {
    /// Employees in this database, whose sessions these are.
    pub fn new(pool: PgPool, sessions: Arc<PgSessions>) -> Self {
        Self { pool, sessions }
    }
}

#[async_trait]
impl Employees for PgEmployees {
    async fn list(
        &self,
        tenant: TenantId,
        filter: &EmployeeFilter,
        page: &PageRequest,
    ) -> AppResult<Page<EmployeeView>> {
        const WANTED: &str = "account_id = $1 and deleted_at is null and ($2::text is null or team = $2)
            and ($3::boolean is null or active = $3)";
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (after_at, after_id) = page.after.as_ref().map(place).transpose()?.unzip();
        let sql = format!(
            "select {}, (select count(*) from users where {WANTED}) as total from users
              where {WANTED} and ($4::timestamptz is null or (created_at, id) > ($4, $5))
              order by created_at, id limit $6",
            columns!()
        );
        let found = sqlx::query(&sql)
            .bind(tenant.0)
            .bind(&filter.team)
            .bind(filter.active)
            .bind(after_at)
            .bind(after_id)
            .bind(i64::from(limit) + 1)
            .try_map(|row: PgRow| Ok((employee(&row)?, row.try_get::<i64, _>("total")?)))
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let total = found.first().and_then(|(_, total)| u64::try_from(*total).ok());
        let more = found.len() > limit as usize;
        let rows: Vec<EmployeeView> = found.into_iter().take(limit as usize).map(|(employee, _)| employee).collect();
        let next = rows.last().filter(|_| more).map(|last| cursor(last.created_at.0, last.id));
        Ok(Page { rows, next, total })
    }

    async fn get(&self, tenant: TenantId, id: UserId) -> AppResult<Option<EmployeeView>> {
        let sql =
            concat!("select ", columns!(), " from users where account_id = $1 and id = $2 and deleted_at is null");
        sqlx::query(sql)
            .bind(tenant.0)
            .bind(id.0)
            .try_map(|row: PgRow| employee(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn create(
        &self,
        session: &Session,
        id: UserId,
        new: &NewEmployee,
        password_hash: &str,
        at: DateTime<Utc>,
    ) -> AppResult<EmployeeView> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "employee").await?;
        lock_names(tx.conn()).await?;
        check_room(tx.conn(), session.tenant).await?;
        let sql = concat!(
            "insert into users (id, account_id, role, username, password_hash, email, display_name, phone, team,
                                permissions, active, created_at, email_verified_at)
             select $1, $2, 'employee', $3, $4, $5, $6, $7, $8, $9, $10, $11, null
              where not exists (select from users where lower(username) = lower($3) and deleted_at is null)
             returning ",
            columns!()
        );
        let employee = sqlx::query(sql)
            .bind(id.0)
            .bind(session.tenant.0)
            .bind(&new.username)
            .bind(password_hash)
            .bind(&new.email)
            .bind(&new.display_name)
            .bind(new.phone.as_ref().map(|phone| phone.as_str()))
            .bind(&new.team)
            .bind(words(&new.permissions))
            .bind(new.active)
            .bind(at)
            .try_map(|row: PgRow| employee(&row))
            .fetch_optional(tx.conn())
            .await
            .map_err(|error| taken_or(error, TAKEN_CODE, TAKEN))?
            .ok_or_else(|| AppError::conflict(TAKEN_CODE, &TAKEN))?;
        let details = json!({
            "username": employee.username, "displayName": employee.display_name, "email": employee.email,
            "team": employee.team, "permissions": employee.permissions, "active": employee.active,
        });
        tx.commit(AuditEntry::of(session, "employee.created", id.to_string(), details)).await?;
        Ok(employee)
    }

    async fn change(
        &self,
        session: &Session,
        seen: &EmployeeView,
        change: &EmployeeChange,
        password_hash: Option<&str>,
    ) -> AppResult<Option<EmployeeView>> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let sql = concat!(
            "update users set email = coalesce($5, email), display_name = coalesce($6, display_name),
                    email_verified_at = case when $5 is null or lower($5) = lower(email) then email_verified_at end,
                    phone = case when $7 then $8 else phone end, team = case when $9 then $10 else team end,
                    permissions = coalesce($11, permissions), active = coalesce($12, active),
                    password_hash = coalesce($13, password_hash)
              where account_id = $1 and id = $2 and deleted_at is null and permissions = $3 and active = $4
             returning ",
            columns!()
        );
        let phone = change.phone.as_ref().map(|phone| phone.as_ref().map(|it| it.as_str()));
        let changed = sqlx::query(sql)
            .bind(session.tenant.0)
            .bind(seen.id)
            .bind(words(&seen.permissions))
            .bind(seen.active)
            .bind(&change.email)
            .bind(&change.display_name)
            .bind(phone.is_some())
            .bind(phone.flatten())
            .bind(change.team.is_some())
            .bind(change.team.as_ref().and_then(Option::as_deref))
            .bind(change.permissions.as_deref().map(words))
            .bind(change.active)
            .bind(password_hash)
            .try_map(|row: PgRow| employee(&row))
            .fetch_optional(tx.conn())
            .await
            .map_err(app_error)?;
        let Some(changed) = changed else { return Ok(None) };
        if password_hash.is_some() || !changed.active {
            end_sessions(tx.conn(), &[seen.id]).await.map_err(app_error)?;
        }
        match (seen.active, changed.active) {
            (true, false) => release_claims(tx.conn(), session, UserId(seen.id)).await.map_err(app_error)?,
            (false, true) => leave_claims(tx.conn(), UserId(seen.id)).await.map_err(app_error)?,
            (true, true) | (false, false) => {}
        }
        let details = told(seen, &changed, password_hash.is_some());
        tx.commit(AuditEntry::of(session, "employee.changed", seen.id.to_string(), details)).await?;
        self.sessions.forget();
        Ok(Some(changed))
    }

    async fn delete(&self, session: &Session, seen: &EmployeeView) -> AppResult<bool> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "employee").await?;
        let gone = sqlx::query(
            "update users set deleted_at = now(), active = false, password_hash = ''
              where account_id = $1 and id = $2 and deleted_at is null and permissions = $3 and active = $4",
        )
        .bind(session.tenant.0)
        .bind(seen.id)
        .bind(words(&seen.permissions))
        .bind(seen.active)
        .execute(tx.conn())
        .await
        .map_err(app_error)?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        let sessions = end_sessions(tx.conn(), &[seen.id]).await.map_err(app_error)?;
        forget_providers(tx.conn(), &[seen.id]).await.map_err(app_error)?;
        release_claims(tx.conn(), session, UserId(seen.id)).await.map_err(app_error)?;
        let details = json!({
            "username": seen.username, "displayName": seen.display_name, "permissions": seen.permissions,
            "sessionsEnded": sessions,
        });
        tx.commit(AuditEntry::of(session, "employee.deleted", seen.id.to_string(), details)).await?;
        self.sessions.forget();
        Ok(true)
    }
}

/// Queues the release of what somebody holds whom this transaction removes or deactivates: at once, and once more when no
/// node believes their sessions any longer and nothing of theirs can be under way. One that runs already runs again.
async fn release_claims(conn: &mut PgConnection, session: &Session, of: UserId) -> Result<(), sqlx::Error> {
    let cause = session.cause();
    let work = Work::ReleaseClaims { of, removed_by: session.user, correlation: cause.correlation };
    for (when, after_sec) in [("now", 0.0), ("after", LAST_CLAIM_SEC)] {
        sqlx::query(
            "insert into jobs (tenant_id, key, work, run_at) values ($1, $2, $3, now() + make_interval(secs => $4))
             on conflict (key) do update set work = excluded.work, run_at = excluded.run_at, attempts = 0, dead = false,
                    locked_until = null, lock_token = null",
        )
        .bind(session.tenant.0)
        .bind(release_key(of, when))
        .bind(Json(&work))
        .bind(after_sec)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Takes back the releases that are still queued: what somebody claims who is back is theirs.
async fn leave_claims(conn: &mut PgConnection, of: UserId) -> Result<(), sqlx::Error> {
    let keys = ["now", "after"].map(|when| release_key(of, when));
    sqlx::query("delete from jobs where key = any($1)").bind(&keys[..]).execute(conn).await.map(drop)
}

fn release_key(of: UserId, when: &str) -> String {
    format!("claims:{of}:{when}")
}

/// Needs [`lock_names`] before: one person joins at a time.
async fn check_room(conn: &mut PgConnection, tenant: TenantId) -> AppResult<()> {
    let sql = "select count(*) from users where account_id = $1 and deleted_at is null";
    let employees: i64 = sqlx::query_scalar(sql).bind(tenant.0).fetch_one(conn).await.map_err(app_error)?;
    if employees < EMPLOYEES_MAX {
        return Ok(());
    }
    Err(AppError::conflict("too_many_employees", &format!("an account has at most {EMPLOYEES_MAX} employees")))
}

/// What changed: rights as they were and as they are, the rest as it is.
fn told(before: &EmployeeView, after: &EmployeeView, password_changed: bool) -> Value {
    let mut details = serde_json::Map::new();
    let mut tell = |name: &str, differs: bool, now: Value| {
        if differs {
            details.insert(name.to_owned(), now);
        }
    };
    let rights = |one: Value, other: Value| json!({ "from": one, "to": other });
    tell("displayName", before.display_name != after.display_name, json!(after.display_name));
    tell("email", before.email != after.email, json!(after.email));
    tell("phone", before.phone != after.phone, json!(after.phone));
    tell("team", before.team != after.team, rights(json!(before.team), json!(after.team)));
    let permissions = rights(json!(before.permissions), json!(after.permissions));
    tell("permissions", before.permissions != after.permissions, permissions);
    tell("active", before.active != after.active, rights(json!(before.active), json!(after.active)));
    tell("passwordChanged", password_changed, json!(true));
    Value::Object(details)
}

/// Each once, in the order of the vocabulary: equal rights are equal rows.
fn words(permissions: &[Permission]) -> Vec<&'static str> {
    Permission::ALL.iter().filter(|it| permissions.contains(it)).map(|it| it.as_str()).collect()
}

fn employee(row: &PgRow) -> sqlx::Result<EmployeeView> {
    Ok(EmployeeView {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        display_name: row.try_get("display_name")?,
        email: row.try_get("email")?,
        phone: row.try_get("phone")?,
        team: row.try_get("team")?,
        permissions: permissions(&row.try_get::<Vec<String>, _>("permissions")?),
        active: row.try_get("active")?,
        created_at: Stamp(row.try_get("created_at")?),
    })
}
