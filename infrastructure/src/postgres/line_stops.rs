//! Lines that send nothing for a while: stopped by trouble with their account, or paused by a person.

use application::actor::{Actor, Session};
use application::channels::lines::LineStops;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::provider_error::ProviderError;
use serde_json::json;
use sqlx::PgConnection;

use crate::outbox::queue_log;
use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::incidents;
use crate::postgres::lines::PgLines;

/// Why a paused line sends nothing.
const PAUSED: &str = "paused by a person";

#[async_trait]
impl LineStops for PgLines {
    async fn stop(&self, phone_number_id: &str, error: &ProviderError, seen_at: DateTime<Utc>) -> AppResult<()> {
        let mut tx = AuditedTx::begin(self.pool()).await?;
        let lock = sqlx::query("select from whatsapp_lines where phone_number_id = $1 for no key update");
        lock.bind(phone_number_id).execute(tx.conn()).await.map_err(app_error)?;
        let Some(met) = incidents::meet(tx.conn(), phone_number_id, error, seen_at).await? else { return Ok(()) };
        if !met.opened {
            return tx.commit_without_entry().await;
        }
        let reason = queue_log::said(error);
        sqlx::query(
            "update whatsapp_lines set stopped_reason = $2, stopped_at = coalesce(stopped_at, now()), updated_at = now()
              where phone_number_id = $1",
        )
        .bind(phone_number_id)
        .bind(&reason)
        .execute(tx.conn())
        .await
        .map_err(app_error)?;
        tx.commit(AuditEntry {
            tenant: Some(met.tenant),
            actor: Actor::System.to_string(),
            action: "line.stopped",
            subject: phone_number_id.to_owned(),
            details: json!({ "reason": reason, "code": error.code, "incident": met.id }),
        })
        .await?;
        self.forget(phone_number_id);
        metrics::counter!("line_incidents_total", "code" => error.code.to_string()).increment(1);
        tracing::error!(line = phone_number_id, reason, "A line is stopped until a person acts");
        Ok(())
    }

    async fn pause(&self, session: &Session, phone_number_id: &str) -> AppResult<()> {
        let mut tx = AuditedTx::begin(self.pool()).await?;
        if is_stopped(tx.conn(), session, phone_number_id).await? {
            return Ok(());
        }
        let pause = "update whatsapp_lines set stopped_reason = $2, stopped_at = now(), updated_at = now() where phone_number_id = $1";
        sqlx::query(pause).bind(phone_number_id).bind(PAUSED).execute(tx.conn()).await.map_err(app_error)?;
        tx.commit(entry(session, "line.paused", phone_number_id)).await?;
        self.forget(phone_number_id);
        Ok(())
    }

    async fn resume(&self, session: &Session, phone_number_id: &str) -> AppResult<()> {
        let mut tx = AuditedTx::begin(self.pool()).await?;
        if !is_stopped(tx.conn(), session, phone_number_id).await? {
            return Ok(());
        }
        let resume = "update whatsapp_lines set stopped_reason = null, stopped_at = null, updated_at = now() where phone_number_id = $1";
        sqlx::query(resume).bind(phone_number_id).execute(tx.conn()).await.map_err(app_error)?;
        go_on(tx.conn(), session, phone_number_id, "resumed").await?;
        tx.commit(entry(session, "line.resumed", phone_number_id)).await?;
        self.forget(phone_number_id);
        Ok(())
    }
}

/// A line that was held goes on: its incident is closed, and what waited for it need not wait any longer.
pub(super) async fn go_on(conn: &mut PgConnection, session: &Session, line: &str, how: &str) -> AppResult<()> {
    incidents::close(conn, line, &session.cause().actor.to_string(), how).await?;
    let due = sqlx::query("update outbox set due_at = now() where bucket = $1 and state = 0 and due_at > now()");
    due.bind(line).execute(conn).await.map_err(app_error)?;
    Ok(())
}

/// Whether the account's line is held, and nobody changes that meanwhile.
async fn is_stopped(conn: &mut PgConnection, session: &Session, line: &str) -> AppResult<bool> {
    let held = "select stopped_at is not null from whatsapp_lines where phone_number_id = $1 and tenant_id = $2 for no key update";
    let held = sqlx::query_scalar(held).bind(line).bind(session.tenant.0).fetch_optional(conn).await;
    held.map_err(app_error)?.ok_or(AppError::NotFound("line"))
}

fn entry(session: &Session, action: &'static str, line: &str) -> AuditEntry {
    AuditEntry {
        tenant: Some(session.tenant.0),
        actor: session.cause().actor.to_string(),
        action,
        subject: line.to_owned(),
        details: json!({}),
    }
}
