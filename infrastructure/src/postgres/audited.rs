//! Changes of what is not event-sourced: a transaction that cannot be committed without its audit entry.

use application::actor::Session;
use application::commands::Once;
use application::error::{AppError, AppResult};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::event_store::append_sql::hashed;
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

impl AuditEntry {
    /// What whoever is signed in did in their account.
    pub fn of(session: &Session, action: &'static str, subject: impl Into<String>, details: Value) -> Self {
        let (tenant, actor) = (Some(session.tenant.0), session.cause().actor.to_string());
        Self { tenant, actor, action, subject: subject.into(), details }
    }
}

impl AuditedTx {
    /// Begins.
    ///
    /// # Errors
    /// No connection.
    pub async fn begin(pool: &PgPool) -> AppResult<Self> {
        pool.begin().await.map(Self).map_err(app_error)
    }

    /// Leaves the mark of a request that its client may send again, as the append of an event does: when it took
    /// effect before and its answer was lost, it does not take effect twice. `what` tells a request's changes apart.
    ///
    /// # Errors
    /// It took effect before.
    pub async fn once(&mut self, session: &Session, what: &str) -> AppResult<()> {
        let Some(mark) = session.cause().once else { return Ok(()) };
        let once = Once::request(&mark, what);
        let sql = "insert into once (tenant_id, key, stream, reference) values ($1, $2, '', $3) on conflict do nothing";
        let marked = sqlx::query(sql)
            .bind(session.tenant.0)
            .bind(hashed(&once.key))
            .bind(once.reference)
            .execute(&mut *self.0)
            .await
            .map_err(app_error)?;
        if marked.rows_affected() == 0 { Err(AppError::outcome_unknown()) } else { Ok(()) }
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
