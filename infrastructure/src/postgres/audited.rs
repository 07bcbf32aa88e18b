//! Changes of what is not event-sourced: a transaction that cannot be committed without its audit entry.

use application::error::AppResult;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::postgres::app_error;

/// Who changed what. Never with a secret in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// The account it concerns.
    pub tenant: Option<Uuid>,
    /// Who, as `Actor` is written.
    pub actor: String,
    /// What was done, such as `line.saved`.
    pub action: &'static str,
    /// To which one.
    pub subject: String,
    /// What of it.
    pub details: Value,
}

/// A transaction whose only commit takes the entry; dropped, it leaves nothing behind.
pub struct AuditedTx(Transaction<'static, Postgres>);

impl AuditedTx {
    /// Begins.
    ///
    /// # Errors
    /// No connection.
    pub async fn begin(pool: &PgPool) -> AppResult<Self> {
        pool.begin().await.map(Self).map_err(app_error)
    }

    /// What statements of this transaction run on.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// Commits what changed nothing that an entry would tell of: it was done, and told, before.
    ///
    /// # Errors
    /// Nothing of the transaction was stored.
    pub async fn commit_without_entry(self) -> AppResult<()> {
        self.0.commit().await.map_err(app_error)
    }

    /// Writes the entry and commits.
    ///
    /// # Errors
    /// Nothing of the transaction was stored.
    pub async fn commit(mut self, entry: AuditEntry) -> AppResult<()> {
        sqlx::query(
            "insert into audit_entries (tenant_id, actor, action, subject, details) values ($1, $2, $3, $4, $5::json)",
        )
        .bind(entry.tenant)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.details)
        .execute(&mut *self.0)
        .await
        .map_err(app_error)?;
        self.0.commit().await.map_err(app_error)
    }
}
