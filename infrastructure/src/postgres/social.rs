//! Whom people are to Google and Facebook.

use application::actor::{Actor, Session};
use application::error::{AppError, AppResult};
use application::identity::social::{Profile, SocialIdentities};
use application::identity::users::{NewUser, UserView};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::UserId;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::users::{insert, lock_names};

/// [`SocialIdentities`] on Postgres.
pub struct PgSocialIdentities {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl SocialIdentities for PgSocialIdentities {
    async fn find(&self, profile: &Profile) -> AppResult<Option<UserId>> {
        let mut conn = self.pool.acquire().await.map_err(app_error)?;
        Ok(owner(&mut conn, profile).await?.map(UserId))
    }

    async fn join(
        &self,
        id: UserId,
        new: &NewUser,
        password_hash: &str,
        profile: &Profile,
        at: DateTime<Utc>,
    ) -> AppResult<Option<UserView>> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        lock_names(tx.conn()).await?;
        if owner(tx.conn(), profile).await?.is_some() {
            return Ok(None);
        }
        if is_proven(tx.conn(), &new.email).await? {
            return Err(AppError::Conflict {
                code: "account_exists",
                message: "there is an account with this e-mail address: sign in to it, then link the two".to_owned(),
            });
        }
        let mut new = new.clone();
        if is_name_taken(tx.conn(), &new.username).await? {
            // Names may look like addresses, and whoever was first has them: one that nobody else can have.
            new.username = format!("{}-{id}", profile.provider.as_str());
        }
        let user = insert(tx.conn(), id, &new, password_hash, at).await?;
        store(tx.conn(), id, profile, at).await?;
        forget_codes(tx.conn(), &new.email).await?;
        let details = json!({ "username": new.username, "email": new.email, "displayName": new.display_name,
                              "role": user.role, "by": profile.provider.as_str() });
        tx.commit(entry(id.0, id, "user.created", id.to_string(), details)).await?;
        Ok(Some(user))
    }

    async fn link(&self, session: &Session, profile: &Profile, at: DateTime<Utc>) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        if store(tx.conn(), session.user, profile, at).await? {
            let details = json!({ "provider": profile.provider.as_str(), "subject": profile.subject });
            let subject = session.user.to_string();
            return tx.commit(entry(session.tenant.0, session.user, "social.linked", subject, details)).await;
        }
        match owner(tx.conn(), profile).await? {
            Some(owner) if owner == session.user.0 => Ok(()),
            Some(_) | None => Err(AppError::Conflict {
                code: "social_taken",
                message: "somebody else signs in with this one".to_owned(),
            }),
        }
    }
}

/// Whether the address is somebody's who proved it. Others may have named it, which says nothing: they can prove it no
/// more once its owner has come.
async fn is_proven(conn: &mut PgConnection, email: &str) -> AppResult<bool> {
    sqlx::query_scalar(
        "select exists (select from users
                         where lower(email) = lower($1) and email_verified_at is not null and deleted_at is null)",
    )
    .bind(email)
    .fetch_one(conn)
    .await
    .map_err(app_error)
}

async fn is_name_taken(conn: &mut PgConnection, username: &str) -> AppResult<bool> {
    let sql = "select exists (select from users where lower(username) = lower($1) and deleted_at is null)";
    sqlx::query_scalar(sql).bind(username).fetch_one(conn).await.map_err(app_error)
}

/// Codes that are on their way to the address are of those who can prove it no more.
async fn forget_codes(conn: &mut PgConnection, email: &str) -> AppResult<()> {
    let sql = "delete from verification_codes where channel = 'email' and address = lower($1)";
    sqlx::query(sql).bind(email).execute(conn).await.map(drop).map_err(app_error)
}

async fn owner(conn: &mut PgConnection, profile: &Profile) -> AppResult<Option<Uuid>> {
    sqlx::query_scalar("select user_id from social_identities where provider = $1 and subject = $2")
        .bind(profile.provider.as_str())
        .bind(&profile.subject)
        .fetch_optional(conn)
        .await
        .map_err(app_error)
}

/// Whether it was nobody's before.
async fn store(conn: &mut PgConnection, user: UserId, profile: &Profile, at: DateTime<Utc>) -> AppResult<bool> {
    let stored = sqlx::query(
        "insert into social_identities (provider, subject, user_id, email, linked_at) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
    )
    .bind(profile.provider.as_str())
    .bind(&profile.subject)
    .bind(user.0)
    .bind(&profile.email)
    .bind(at)
    .execute(conn)
    .await
    .map_err(app_error)?;
    Ok(stored.rows_affected() == 1)
}

fn entry(account: Uuid, user: UserId, action: &'static str, subject: String, details: serde_json::Value) -> AuditEntry {
    AuditEntry { tenant: Some(account), actor: Actor::User(user).to_string(), action, subject, details }
}
