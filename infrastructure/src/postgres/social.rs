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
        let taken = "select exists (select from users where lower(email) = lower($1) or lower(username) = lower($2))";
        let taken: bool = sqlx::query_scalar(taken)
            .bind(&new.email)
            .bind(&new.username)
            .fetch_one(tx.conn())
            .await
            .map_err(app_error)?;
        if taken {
            return Err(AppError::Conflict {
                code: "account_exists",
                message: "there is an account with this e-mail address: sign in to it, then link the two".to_owned(),
            });
        }
        let user = insert(tx.conn(), id, new, password_hash, at).await?;
        store(tx.conn(), id, profile, at).await?;
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
