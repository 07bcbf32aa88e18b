//! Where personal data lies in Postgres, and how it goes: the key is destroyed, and whatever holds the person in clear
//! for a while is removed, all in one transaction with its audit entry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use application::contacts::erasure::{Kept, PersonalData};
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::appointment::Appointment;
use domain::conversation::Conversation;
use domain::lead::Lead;
use domain::shared::ids::{AppointmentId, ContactId, ConversationId, LeadId, StreamId, TenantId};
use serde_json::json;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::event_store::projector::Projection;
use crate::outbox::queue_log::told;
use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};

/// Events that were stored in clear though they say something of a person: the first release sealed nothing.
const IN_CLEAR: &str = "
select exists (
    select from contact_streams s join events e using (aggregate_type, aggregate_id)
     where s.tenant_id = $1 and s.contact_id = $2 and e.payload -> '$sealed' is null
       and (e.aggregate_type, e.event_type) in (
            ('conversation', 'conversation.started'), ('conversation', 'conversation.message_received'),
            ('conversation', 'conversation.message_queued'), ('lead', 'lead.captured'), ('lead', 'lead.fields_changed')))";

/// Webhooks and what was parked of them, where they name the person: by phone, in digits, or by a channel's user id.
const NAMED: &str =
    "exists (select from unnest($2::text[]) as n(name) where position(convert_to(n.name, 'UTF8') in j.body) > 0)
    and exists (select from whatsapp_lines l where l.tenant_id = $1 and j.lines::jsonb ? l.phone_number_id)";

/// How long fresh webhooks of the person are waited for: their node takes them in within moments.
const LOOKS_MAX: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// [`PersonalData`] on Postgres.
pub struct PgPersonalData {
    /// The database.
    pub pool: PgPool,
    /// Every read model.
    pub projections: Vec<Arc<dyn Projection>>,
}

#[async_trait]
impl PersonalData for PgPersonalData {
    async fn of(&self, tenant: TenantId, contact: ContactId) -> AppResult<Option<Kept>> {
        let known: bool = sqlx::query_scalar(
            "select exists (select from contact_keys where tenant_id = $1 and contact_id = $2)
                 or exists (select from contact_identifiers where tenant_id = $1 and contact_id = $2)
                 or exists (select from contact_streams where tenant_id = $1 and contact_id = $2)",
        )
        .bind(tenant.0)
        .bind(contact.0)
        .fetch_one(&self.pool)
        .await
        .map_err(app_error)?;
        if !known {
            return Ok(None);
        }
        let rows = sqlx::query(
            "select aggregate_type, aggregate_id from contact_streams where tenant_id = $1 and contact_id = $2",
        )
        .bind(tenant.0)
        .bind(contact.0)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        let in_clear = sqlx::query_scalar(IN_CLEAR).bind(tenant.0).bind(contact.0).fetch_one(&self.pool);
        let mut kept = Kept { in_clear: in_clear.await.map_err(app_error)?, ..Kept::default() };
        for row in rows {
            let (kind, stream): (String, String) =
                (row.try_get("aggregate_type").map_err(app_error)?, row.try_get("aggregate_id").map_err(app_error)?);
            let stream: StreamId = stream.parse().map_err(AppError::internal)?;
            match kind.as_str() {
                Conversation::TYPE => drop(kept.conversations.insert(ConversationId(stream.id))),
                Lead::TYPE => drop(kept.leads.insert(LeadId(stream.id))),
                Appointment::TYPE => drop(kept.appointments.insert(AppointmentId(stream.id))),
                _ => {}
            }
        }
        Ok(Some(kept))
    }

    async fn destroy(
        &self,
        tenant: TenantId,
        contact: ContactId,
        kept: &Kept,
        actor: &str,
    ) -> AppResult<DateTime<Utc>> {
        let names = self.names(tenant, contact).await.map_err(app_error)?;
        self.wait_for_webhooks(tenant, &names).await.map_err(app_error)?;
        let mut transaction = AuditedTx::begin(&self.pool).await?;
        let (erased_at, news) = destroy_key(transaction.conn(), tenant, contact).await.map_err(app_error)?;
        remove(transaction.conn(), tenant, contact, kept, &names).await.map_err(app_error)?;
        if !news {
            transaction.commit_without_entry().await?;
            return Ok(erased_at);
        }
        let entry = AuditEntry {
            tenant: Some(tenant.0),
            actor: actor.to_owned(),
            action: "contact.erased",
            subject: contact.to_string(),
            details: json!({
                "conversations": kept.conversations.len(), "leads": kept.leads.len(), "appointments": kept.appointments.len(),
            }),
        };
        transaction.commit(entry).await?;
        Ok(erased_at)
    }

    async fn refold(&self, tenant: TenantId, kept: &Kept) -> AppResult<()> {
        let streams =
            |ids: Vec<Uuid>| -> Vec<StreamId> { ids.into_iter().map(|id| StreamId::new(tenant, id)).collect() };
        let conversations = streams(kept.conversations.iter().map(|id| id.0).collect());
        let leads = streams(kept.leads.iter().map(|id| id.0).collect());
        let appointments = streams(kept.appointments.iter().map(|id| id.0).collect());
        for projection in &self.projections {
            let theirs = match projection.aggregate() {
                Conversation::TYPE => &conversations,
                Lead::TYPE => &leads,
                Appointment::TYPE => &appointments,
                _ => continue,
            };
            projection.refold(&self.pool, theirs).await.map_err(app_error)?;
        }
        Ok(())
    }
}

impl PgPersonalData {
    /// What names the person in a webhook.
    async fn names(&self, tenant: TenantId, contact: ContactId) -> Result<Vec<String>, sqlx::Error> {
        let values: Vec<String> =
            sqlx::query_scalar("select value from contact_identifiers where tenant_id = $1 and contact_id = $2")
                .bind(tenant.0)
                .bind(contact.0)
                .fetch_all(&self.pool)
                .await?;
        Ok(values.into_iter().map(|value| value.trim_start_matches('+').to_owned()).collect())
    }

    async fn wait_for_webhooks(&self, tenant: TenantId, names: &[String]) -> Result<(), sqlx::Error> {
        let fresh =
            format!("select exists (select from webhook_journal j where j.state = 0 and j.attempts = 0 and {NAMED})");
        for _ in 0..LOOKS_MAX {
            if !sqlx::query_scalar::<_, bool>(&fresh).bind(tenant.0).bind(names).fetch_one(&self.pool).await? {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// Destroys the key; one that was never made is kept as destroyed. When, and whether only now.
async fn destroy_key(
    connection: &mut PgConnection,
    tenant: TenantId,
    contact: ContactId,
) -> Result<(DateTime<Utc>, bool), sqlx::Error> {
    let destroyed: Option<DateTime<Utc>> = sqlx::query_scalar(
        "insert into contact_keys as k (tenant_id, contact_id, erased_at) values ($1, $2, now())
         on conflict (tenant_id, contact_id) do update set wrapped = null, erased_at = now() where k.erased_at is null
         returning erased_at",
    )
    .bind(tenant.0)
    .bind(contact.0)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(at) = destroyed {
        sqlx::query("update erasures set count = count + 1").execute(connection).await?;
        return Ok((at, true));
    }
    let before = sqlx::query_scalar("select erased_at from contact_keys where tenant_id = $1 and contact_id = $2")
        .bind(tenant.0)
        .bind(contact.0)
        .fetch_one(connection)
        .await?;
    Ok((before, false))
}

/// Removes what holds the person in clear, but for read models.
async fn remove(
    connection: &mut PgConnection,
    tenant: TenantId,
    contact: ContactId,
    kept: &Kept,
    names: &[String],
) -> Result<(), sqlx::Error> {
    let lanes: Vec<Uuid> = kept.conversations.iter().map(|id| id.0).collect();
    let streams = lanes.iter().copied().chain(kept.leads.iter().map(|id| id.0));
    let streams = streams.chain(kept.appointments.iter().map(|id| id.0));
    let streams: Vec<String> = streams.map(|id| StreamId::new(tenant, id).to_string()).collect();
    let phones: BTreeSet<String> = names.iter().map(|name| format!("+{name}")).collect();
    let phones: Vec<String> = phones.into_iter().collect();
    sqlx::query(told!(
        "delete from outbox o where tenant_id = $1 and lane = any($2)",
        "cancelled",
        "'the contact was erased'"
    ))
    .bind(tenant.0)
    .bind(&lanes)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "delete from jobs where tenant_id = $1
            and (work ->> 'phone' = any($2) or work ->> 'conversation' = any($3::uuid[]::text[]))",
    )
    .bind(tenant.0)
    .bind(&phones)
    .bind(&lanes)
    .execute(&mut *connection)
    .await?;
    sqlx::query("delete from snapshots where aggregate_id = any($1)").bind(streams).execute(&mut *connection).await?;
    let webhooks = format!("delete from webhook_journal j where (j.state <> 0 or j.attempts > 0) and {NAMED}");
    sqlx::query(&webhooks).bind(tenant.0).bind(names).execute(&mut *connection).await?;
    sqlx::query(
        "delete from parked_elements p where (p.tenant_id = $1 or p.tenant_id is null)
            and exists (select from unnest($2::text[]) as n(name) where position(n.name in p.element::text) > 0)",
    )
    .bind(tenant.0)
    .bind(names)
    .execute(&mut *connection)
    .await?;
    // What people wrote about the person in tasks; the tasks stay.
    let about = "tenant_id = $1 and (conversation_id = any($2) or lead_id = any($3))";
    let leads: Vec<Uuid> = kept.leads.iter().map(|id| id.0).collect();
    for statement in [
        format!("update task_comments set text = 'erased' where task_id in (select id from tasks where {about})"),
        format!("update tasks set title = 'erased', notes = null where {about}"),
    ] {
        sqlx::query(&statement).bind(tenant.0).bind(&lanes).bind(&leads).execute(&mut *connection).await?;
    }
    // Answers are sealed, so nobody can look which of them show the person; none is kept.
    sqlx::query("update idempotency_keys set headers = null, body = null where tenant_id = $1 and status is not null")
        .bind(tenant.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from contact_identifiers where tenant_id = $1 and contact_id = $2")
        .bind(tenant.0)
        .bind(contact.0)
        .execute(&mut *connection)
        .await?;
    // Last: who is just written to waits for it, and all that goes with that message.
    sqlx::query("update bulk_recipients set phone = '', params = null where tenant_id = $1 and phone = any($2)")
        .bind(tenant.0)
        .bind(&phones)
        .execute(connection)
        .await?;
    Ok(())
}
