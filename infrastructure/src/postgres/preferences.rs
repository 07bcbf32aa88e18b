//! What people prefer.

use std::sync::Arc;

use application::actor::Session;
use application::error::{AppError, AppResult};
use application::identity::preferences::Preferences;
use async_trait::async_trait;
use domain::shared::preferences::{Language, Theme};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::sessions::PgSessions;

/// [`Preferences`] on Postgres.
pub struct PgPreferences {
    /// The database.
    pub pool: PgPool,
    /// They carry the language.
    pub sessions: Arc<PgSessions>,
}

#[async_trait]
impl Preferences for PgPreferences {
    async fn speak(&self, session: &Session, language: Language) -> AppResult<()> {
        let sql = "update users set language = $2 where id = $1";
        self.set(session, sql, language.as_str(), "user.language_changed", json!({ "language": language })).await
    }

    async fn dress(&self, session: &Session, theme: Theme) -> AppResult<()> {
        let sql = "update users set theme = $2 where id = $1";
        self.set(session, sql, theme.as_str(), "user.theme_changed", json!({ "theme": theme })).await
    }
}

impl PgPreferences {
    async fn set(
        &self,
        session: &Session,
        sql: &str,
        word: &'static str,
        action: &'static str,
        details: Value,
    ) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let changed = sqlx::query(sql).bind(session.user.0).bind(word).execute(tx.conn()).await.map_err(app_error)?;
        if changed.rows_affected() == 0 {
            return Err(AppError::NotFound("user"));
        }
        let (actor, subject) = (session.cause().actor.to_string(), session.user.to_string());
        tx.commit(AuditEntry { tenant: Some(session.tenant.0), actor, action, subject, details }).await?;
        self.sessions.forget();
        Ok(())
    }
}
