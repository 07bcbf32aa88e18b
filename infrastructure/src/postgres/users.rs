//! People: how they sign in, and accounts' owners.

use std::sync::Arc;

use application::actor::{Actor, Session};
use application::error::{AppError, AppResult};
use application::identity::ports::Passwords;
use application::identity::users::{NewUser, UserChange, UserView, Users};
use application::page::{Cursor, LIMIT_MAX, Page, PageRequest};
use application::time::{NewId, Stamp};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use domain::access::Permission;
use domain::shared::ids::UserId;
use domain::shared::phone::Phone;
use domain::shared::preferences::{Language, Theme};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::sessions::PgSessions;
use crate::postgres::{Remembers, accounts, app_error, taken_or};
use crate::security::random_bytes;

/// A generated password: 24 characters of base64url.
const PASSWORD_BYTES: usize = 18;
/// Held while a person is made: names are the same in upper and lower case, which the table's key cannot know.
const NAMES_LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('flowbot/usernames', 0))";

/// Who acts where nobody is signed in.
const COMMAND_LINE: &str = "command line";
/// The role of who owns an account and no more.
const OWNER: &str = "user";
/// What is said of a name somebody has.
pub(super) const TAKEN_CODE: &str = "username_taken";
pub(super) const TAKEN: &str = "the username is taken";

macro_rules! user_columns {
    () => {
        "id, coalesce(account_id, id) as account_id, username, display_name, email, email_verified_at is not null as email_verified,
         phone, phone_verified_at is not null as phone_verified, role, permissions, language, theme, created_at,
         coalesce((select a.timezone from users a where a.id = users.account_id), timezone) as timezone,
         coalesce((select a.api_access_approved from users a where a.id = users.account_id), api_access_approved)
            as api_access_approved"
    };
}

/// [`Users`] on Postgres.
pub struct PgUsers {
    pool: PgPool,
    sessions: Arc<PgSessions>,
    others: Vec<Arc<dyn Remembers>>,
}

impl PgUsers {
    /// People in this database, whose sessions these are.
    pub fn new(pool: PgPool, sessions: Arc<PgSessions>) -> Self {
        Self { pool, sessions, others: Vec::new() }
    }

    /// With whatever else remembers accounts here.
    #[must_use]
    pub fn known_to(mut self, others: Vec<Arc<dyn Remembers>>) -> Self {
        self.others = others;
        self
    }

    /// Makes the first administrator when there is none. Returns the password when it was generated.
    ///
    /// # Errors
    /// Name or password break a bound, or somebody else has the name.
    pub async fn ensure_admin(
        &self,
        username: &str,
        password: Option<String>,
        passwords: &dyn Passwords,
        ids: &dyn NewId,
        now: DateTime<Utc>,
    ) -> AppResult<Option<String>> {
        if has_admin(&mut *self.pool.acquire().await.map_err(app_error)?).await? {
            return Ok(None);
        }
        let (password, generated) = match password {
            Some(password) => (password, None),
            None => {
                let bytes = random_bytes::<PASSWORD_BYTES>().map_err(AppError::internal)?;
                let password = URL_SAFE_NO_PAD.encode(bytes);
                (password.clone(), Some(password))
            }
        };
        let email = if username.contains('@') { username.to_owned() } else { format!("{username}@flowbot.invalid") };
        let display_name = username.to_owned();
        let new = NewUser { username: username.to_owned(), password, email, display_name, admin: true };
        new.check()?;
        let hash = passwords.hash(new.password.clone()).await?;
        let id = UserId(ids.new_id());
        let mut tx = AuditedTx::begin(&self.pool).await?;
        lock_names(tx.conn()).await?;
        // Another node may have been quicker.
        if has_admin(tx.conn()).await? {
            return Ok(None);
        }
        insert(tx.conn(), id, &new, &hash, now).await?;
        tx.commit(created(Actor::System.to_string(), id, &new)).await?;
        Ok(generated)
    }
}

#[async_trait]
impl Users for PgUsers {
    async fn credentials(&self, username: &str) -> AppResult<Option<(UserView, String)>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            ", password_hash from users
              where lower(username) = lower($1) and active and deleted_at is null"
        );
        sqlx::query(sql)
            .bind(username)
            .try_map(|row: PgRow| Ok((user(&row)?, row.try_get("password_hash")?)))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn get(&self, id: UserId) -> AppResult<Option<UserView>> {
        sqlx::query(concat!("select ", user_columns!(), " from users where id = $1 and deleted_at is null"))
            .bind(id.0)
            .try_map(|row: PgRow| user(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn list(&self, page: &PageRequest) -> AppResult<Page<UserView>> {
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (after_at, after_id) = page.after.as_ref().map(place).transpose()?.unzip();
        let sql = concat!(
            "select ",
            user_columns!(),
            ", (select count(*) from users where account_id is null and deleted_at is null) as total from users
              where account_id is null and deleted_at is null
                and ($1::timestamptz is null or (created_at, id) > ($1, $2))
              order by created_at, id limit $3"
        );
        let found = sqlx::query(sql)
            .bind(after_at)
            .bind(after_id)
            .bind(i64::from(limit) + 1)
            .try_map(|row: PgRow| Ok((user(&row)?, row.try_get::<i64, _>("total")?)))
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let total = found.first().and_then(|(_, total)| u64::try_from(*total).ok());
        let more = found.len() > limit as usize;
        let rows: Vec<UserView> = found.into_iter().take(limit as usize).map(|(user, _)| user).collect();
        let next = rows.last().filter(|_| more).map(|last| cursor(last.created_at.0, last.id));
        Ok(Page { rows, next, total })
    }

    async fn create(
        &self,
        by: Option<&Session>,
        id: UserId,
        new: &NewUser,
        password_hash: &str,
        at: DateTime<Utc>,
    ) -> AppResult<UserView> {
        let actor = by.map_or_else(|| COMMAND_LINE.to_owned(), |session| session.cause().actor.to_string());
        let mut tx = AuditedTx::begin(&self.pool).await?;
        if let Some(session) = by {
            tx.once(session, "user").await?;
        }
        lock_names(tx.conn()).await?;
        let user = insert(tx.conn(), id, new, password_hash, at).await?;
        tx.commit(created(actor, id, new)).await?;
        Ok(user)
    }

    async fn change(
        &self,
        session: &Session,
        id: UserId,
        change: &UserChange,
        password_hash: Option<&str>,
    ) -> AppResult<UserView> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        if change.role.as_deref() == Some(OWNER) {
            accounts::keep_an_administrator(tx.conn(), id).await?;
        }
        let sql = concat!(
            "update users set email = coalesce($2, email), email_verified_at = case
                        when $2 is null or lower($2) = lower(email) then email_verified_at
                        -- An administrator knows; others prove it. Their account goes on meanwhile.
                        when $8 and not must_verify then now() end,
                    display_name = coalesce($3, display_name),
                    timezone = coalesce($4, timezone), role = coalesce($5, role),
                    api_access_approved = coalesce($6, api_access_approved), password_hash = coalesce($7, password_hash)
              where id = $1 and deleted_at is null returning ",
            user_columns!()
        );
        let changed = sqlx::query(sql)
            .bind(id.0)
            .bind(&change.email)
            .bind(&change.display_name)
            .bind(&change.timezone)
            .bind(&change.role)
            .bind(change.api_access_approved)
            .bind(password_hash)
            .bind(session.is_admin())
            .try_map(|row: PgRow| user(&row))
            .fetch_optional(tx.conn())
            .await
            .map_err(app_error)?
            .ok_or(AppError::NotFound("user"))?;
        // A new password ends every session but the one its owner asks from, a withdrawn approval those of API
        // credentials.
        if password_hash.is_some() || change.api_access_approved == Some(false) {
            sqlx::query(
                "update sessions set revoked_at = now()
                  where user_id = $1 and revoked_at is null and ($2 or kind = 'api') and id is distinct from $3",
            )
            .bind(id.0)
            .bind(password_hash.is_some())
            .bind((session.user == id).then_some(session.id))
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        }
        let details = json!({
            "email": change.email, "displayName": change.display_name, "timezone": change.timezone,
            "role": change.role, "apiAccessApproved": change.api_access_approved,
            "passwordChanged": password_hash.is_some(),
        });
        let actor = session.cause().actor.to_string();
        tx.commit(entry(changed.account_id, actor, "user.changed", id.to_string(), details)).await?;
        self.sessions.forget();
        Ok(changed)
    }

    async fn delete(&self, session: &Session, id: UserId) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "user").await?;
        accounts::keep_an_administrator(tx.conn(), id).await?;
        let left = accounts::close(tx.conn(), id).await?.ok_or(AppError::NotFound("user"))?;
        let actor = session.cause().actor.to_string();
        tx.commit(entry(id.0, actor, "user.deleted", id.to_string(), left)).await?;
        self.sessions.forget();
        self.others.iter().for_each(|other| other.forget_all());
        Ok(())
    }
}

async fn has_admin(conn: &mut PgConnection) -> AppResult<bool> {
    let sql = "select exists (select from users where role = 'admin' and deleted_at is null)";
    sqlx::query_scalar(sql).fetch_one(conn).await.map_err(app_error)
}

/// Lets one person be named at a time.
pub(crate) async fn lock_names(conn: &mut PgConnection) -> AppResult<()> {
    sqlx::query(NAMES_LOCK).execute(conn).await.map(drop).map_err(app_error)
}

/// Needs [`lock_names`], in a statement of its own before: the check sees what was committed until then.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    id: UserId,
    new: &NewUser,
    hash: &str,
    at: DateTime<Utc>,
) -> AppResult<UserView> {
    let sql = concat!(
        "insert into users (id, username, password_hash, email, display_name, role, created_at)
         select $1, $2, $3, $4, $5, $6, $7
          where not exists (select from users where lower(username) = lower($2) and deleted_at is null)
         returning ",
        user_columns!()
    );
    sqlx::query(sql)
        .bind(id.0)
        .bind(&new.username)
        .bind(hash)
        .bind(&new.email)
        .bind(&new.display_name)
        .bind(role(new))
        .bind(at)
        .try_map(|row: PgRow| user(&row))
        .fetch_optional(conn)
        .await
        .map_err(|error| taken_or(error, TAKEN_CODE, TAKEN))?
        .ok_or_else(|| AppError::conflict(TAKEN_CODE, &TAKEN))
}

/// Whoever was just made has to verify their e-mail before they may do anything.
pub(crate) async fn must_verify(
    conn: &mut PgConnection,
    id: UserId,
    phone: Option<&Phone>,
    language: Option<Language>,
) -> AppResult<UserView> {
    let sql = concat!(
        "update users set must_verify = true, email_verified_at = null, phone = $2, language = $3 where id = $1 returning ",
        user_columns!()
    );
    sqlx::query(sql)
        .bind(id.0)
        .bind(phone.map(Phone::as_str))
        .bind(language.map(Language::as_str))
        .try_map(|row: PgRow| user(&row))
        .fetch_one(conn)
        .await
        .map_err(app_error)
}

fn created(actor: String, id: UserId, new: &NewUser) -> AuditEntry {
    let details =
        json!({ "username": new.username, "email": new.email, "displayName": new.display_name, "role": role(new) });
    entry(id.0, actor, "user.created", id.to_string(), details)
}

fn entry(
    account: Uuid,
    actor: String,
    action: &'static str,
    subject: String,
    details: serde_json::Value,
) -> AuditEntry {
    AuditEntry { tenant: Some(account), actor, action, subject, details }
}

fn role(new: &NewUser) -> &'static str {
    if new.admin { "admin" } else { OWNER }
}

/// The cursor behind somebody who joined then.
pub(super) fn cursor(joined: DateTime<Utc>, id: Uuid) -> Cursor {
    Cursor { sort: joined.timestamp_micros().to_string(), key: id.to_string() }
}

/// Permissions as they are kept; words this build does not know grant nothing.
pub(super) fn permissions(words: &[String]) -> Vec<Permission> {
    words.iter().filter_map(|word| Permission::from_word(word)).collect()
}

/// Where a page of people goes on.
pub(super) fn place(cursor: &Cursor) -> AppResult<(DateTime<Utc>, Uuid)> {
    let at = cursor.sort.parse().ok().and_then(DateTime::from_timestamp_micros);
    let bad = || AppError::not_our_cursor();
    at.zip(cursor.key.parse().ok()).ok_or_else(bad)
}

fn user(row: &PgRow) -> sqlx::Result<UserView> {
    let (id, account_id): (Uuid, Uuid) = (row.try_get("id")?, row.try_get("account_id")?);
    let granted: Vec<String> = row.try_get("permissions")?;
    Ok(UserView {
        id,
        account_id,
        // An owner was granted nothing, and may everything.
        permissions: if id == account_id { Permission::ALL.to_vec() } else { permissions(&granted) },
        username: row.try_get("username")?,
        display_name: row.try_get("display_name")?,
        email: row.try_get("email")?,
        email_verified: row.try_get("email_verified")?,
        phone: row.try_get("phone")?,
        phone_verified: row.try_get("phone_verified")?,
        role: row.try_get("role")?,
        timezone: row.try_get("timezone")?,
        language: row.try_get::<Option<&str>, _>("language")?.and_then(Language::from_word),
        theme: Theme::from_word(row.try_get("theme")?).unwrap_or(Theme::System),
        api_access_approved: row.try_get("api_access_approved")?,
        created_at: Stamp(row.try_get("created_at")?),
    })
}
