//! Bulk sends in Postgres.

pub mod claims;
pub mod opt_outs;
mod shown;

use application::actor::Session;
use application::bulk::Plan;
use application::bulk::ports::{BulkStore, Queued};
use application::bulk::views::{BulkSendView, RecipientFilter, RecipientView, SkippedView};
use application::conversations::ports::LineFacts;
use application::error::{AppError, AppResult};
use application::page::{Page, PageRequest};
use async_trait::async_trait;
use domain::shared::ids::{BulkSendId, TenantId};
use serde_json::json;
use sqlx::PgPool;
use sqlx::types::Json;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};

/// Recipients written by one short transaction, so that no reader of the log waits for a long one.
const CHUNK: usize = 5_000;

/// [`BulkStore`] on Postgres.
pub struct PgBulkSends {
    /// The database.
    pub pool: PgPool,
}

/// Who got one of these templates within a day, whatever became of it but for those that failed.
const ALREADY_SENT: &str = r#"
update bulk_recipients r set state = 3, reason = 'already_sent'
 where r.bulk_send_id = $1 and r.number between $4 and $5 and r.state = 0
   and exists (select from conversation_view c
                 join message_view m on m.tenant_id = c.tenant_id and m.conversation_id = c.key
                where c.tenant_id = $2 and c.phone = r.phone and m.wanted_at > to_char(now() at time zone 'utc' - interval '24 hours', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') and not m.failed
                  and m.body ->> 'type' = 'template' and m.body ->> 'text' = any($3))"#;

const OPTED_OUT: &str = "
update bulk_recipients r set state = 3, reason = 'opted_out'
 where r.bulk_send_id = $1 and r.number between $3 and $4 and r.state = 0
   and exists (select from opt_outs o
                where o.is_out and o.tenant_id = $2 and o.phone_hash = sha256(convert_to($2::text || r.phone, 'UTF8')))";

#[async_trait]
impl BulkStore for PgBulkSends {
    async fn create(
        &self,
        session: &Session,
        id: BulkSendId,
        line: &LineFacts,
        plan: &Plan,
        templates: &[String],
        recipients: &[Queued],
    ) -> AppResult<Vec<SkippedView>> {
        self.prepare(session, id, line, plan, recipients.len()).await.map_err(app_error)?;
        for (at, chunk) in recipients.chunks(CHUNK).enumerate() {
            self.write(id, line.tenant, at * CHUNK, chunk).await.map_err(app_error)?;
            let (first, last) = (number(at * CHUNK), number(at * CHUNK + chunk.len() - 1));
            self.pass_over(id, line.tenant, plan, templates, (first, last)).await.map_err(app_error)?;
        }
        // Autovacuum comes too late for a plan that walks tens of thousands of new rows by their index.
        sqlx::query("analyze bulk_recipients").execute(&self.pool).await.map_err(app_error)?;
        let mut transaction = AuditedTx::begin(&self.pool).await?;
        transaction.once(session, "bulk_send").await?;
        let start = "update bulk_sends set state = 'running' where id = $1";
        sqlx::query(start).bind(id.0).execute(transaction.conn()).await.map_err(app_error)?;
        let details = json!({
            "recipients": recipients.len(), "phoneNumberId": line.phone_number_id, "templates": templates,
            "flowId": plan.flow_id, "allowMarketing": plan.allow_marketing, "forceSend": plan.force_send,
        });
        transaction.commit(AuditEntry::of(session, "bulk_send.started", id.to_string(), details)).await?;
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select phone, reason from bulk_recipients
              where bulk_send_id = $1 and state = 3 and reason in ('already_sent', 'opted_out') order by number",
        )
        .bind(id.0)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        Ok(rows.into_iter().map(|(phone, reason)| SkippedView { phone, reason }).collect())
    }

    async fn list(&self, tenant: TenantId, id: Option<BulkSendId>) -> AppResult<Vec<BulkSendView>> {
        shown::list(&self.pool, tenant, id).await
    }

    async fn recipients(
        &self,
        tenant: TenantId,
        id: BulkSendId,
        filter: RecipientFilter,
        page: &PageRequest,
    ) -> AppResult<Page<RecipientView>> {
        shown::recipients(&self.pool, tenant, id, filter, page).await
    }

    async fn cancel(&self, session: &Session, id: BulkSendId) -> AppResult<()> {
        let mut transaction = AuditedTx::begin(&self.pool).await?;
        let cancelled = sqlx::query(
            "update bulk_sends set state = 'cancelled', ended_at = now() where id = $1 and tenant_id = $2 and state = 'running'",
        )
        .bind(id.0)
        .bind(session.tenant.0)
        .execute(transaction.conn())
        .await
        .map_err(app_error)?;
        if cancelled.rows_affected() == 0 {
            return transaction.commit_without_entry().await;
        }
        transaction.once(session, "bulk_send").await?;
        transaction.commit(AuditEntry::of(session, "bulk_send.cancelled", id.to_string(), json!({}))).await
    }
}

impl PgBulkSends {
    async fn prepare(
        &self,
        session: &Session,
        id: BulkSendId,
        line: &LineFacts,
        plan: &Plan,
        total: usize,
    ) -> Result<(), sqlx::Error> {
        let insert =
            "insert into bulk_sends (id, tenant_id, plan, line, total, created_by) values ($1, $2, $3, $4, $5, $6)";
        sqlx::query(insert)
            .bind(id.0)
            .bind(line.tenant.0)
            .bind(Json(plan))
            .bind(&line.phone_number_id)
            .bind(number(total))
            .bind(session.cause().actor.to_string())
            .execute(&self.pool)
            .await
            .map(drop)
    }

    async fn write(&self, id: BulkSendId, tenant: TenantId, first: usize, chunk: &[Queued]) -> Result<(), sqlx::Error> {
        let phones: Vec<String> = chunk.iter().map(|it| it.phone.to_string()).collect();
        let params: Vec<Option<String>> =
            chunk.iter().map(|it| it.params.as_ref().map(|it| json!(it).to_string())).collect();
        sqlx::query(
            "insert into bulk_recipients (bulk_send_id, number, tenant_id, phone, params)
             select $1, $3 + n - 1, $2, phone,
                    case when params is null then null else array(select json_array_elements_text(params::json)) end
               from unnest($4::text[], $5::text[]) with ordinality as r(phone, params, n)",
        )
        .bind(id.0)
        .bind(tenant.0)
        .bind(number(first))
        .bind(phones)
        .bind(params)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    async fn pass_over(
        &self,
        id: BulkSendId,
        tenant: TenantId,
        plan: &Plan,
        templates: &[String],
        (first, last): (i32, i32),
    ) -> Result<(), sqlx::Error> {
        let opted_out = sqlx::query(OPTED_OUT).bind(id.0).bind(tenant.0).bind(first).bind(last);
        opted_out.execute(&self.pool).await?;
        if plan.force_send {
            return Ok(());
        }
        let already = sqlx::query(ALREADY_SENT).bind(id.0).bind(tenant.0).bind(templates);
        already.bind(first).bind(last).execute(&self.pool).await.map(drop)
    }
}

fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// What is stored of a plan, read back.
fn plan(json: serde_json::Value) -> AppResult<Plan> {
    serde_json::from_value(json).map_err(AppError::internal)
}
