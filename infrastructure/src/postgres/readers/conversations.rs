//! Reads conversations and their messages.

use application::conversations::message_view::MessageView;
use application::conversations::ports::{ConversationFilter, ConversationReader};
use application::conversations::views::ConversationView;
use application::error::AppResult;
use application::page::{Page, PageRequest};
use async_trait::async_trait;
use domain::shared::ids::{ConversationId, MessageId, TenantId};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::readers::{contains, document, one, page, sort_of};

/// Conversations in Postgres.
pub struct PgConversationReader {
    /// The database.
    pub pool: PgPool,
}

const WANTED: &str = "tenant_id = $1 and ($2::text is null or status = $2) and ($3::text is null or phone = $3)
    and ($4::text is null or flow_id = $4) and ($5::text is null or claimed_by = $5)
    and ($6::text is null or phone like $6 or body ->> 'customerName' ilike $6 or body ->> 'lastMessage' ilike $6)";

#[async_trait]
impl ConversationReader for PgConversationReader {
    async fn list(
        &self,
        tenant: TenantId,
        filter: &ConversationFilter,
        request: &PageRequest,
    ) -> AppResult<Page<ConversationView>> {
        let (sort, key) = sort_of(request.after.as_ref());
        let (flow, claimed) = (filter.flow_id.map(|id| id.to_string()), filter.claimed_by.map(|id| id.to_string()));
        let search = contains(filter.search.as_deref());
        let statement = format!(
            "select key, body, last_at as sort from conversation_view
              where {WANTED} and ($7::text is null or (last_at, key) < ($7, $8))
              order by last_at desc, key desc limit $9"
        );
        let rows = sqlx::query(&statement)
            .bind(tenant.0)
            .bind(&filter.status)
            .bind(&filter.phone)
            .bind(&flow)
            .bind(&claimed)
            .bind(&search)
            .bind(sort)
            .bind(key)
            .bind(i64::from(request.limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let statement = format!("select count(*) from conversation_view where {WANTED}");
        let total = sqlx::query_scalar(&statement)
            .bind(tenant.0)
            .bind(&filter.status)
            .bind(&filter.phone)
            .bind(&flow)
            .bind(&claimed)
            .bind(&search)
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        page(rows, request.limit, Some(total))
    }

    async fn counts(&self, tenant: TenantId) -> AppResult<Vec<(String, u64)>> {
        let rows = sqlx::query("select status, count(*) as many from conversation_view where tenant_id = $1 group by status order by status")
            .bind(tenant.0)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        rows.iter()
            .map(|row| Ok((row.try_get("status")?, row.try_get::<i64, _>("many")?.unsigned_abs())))
            .collect::<Result<_, sqlx::Error>>()
            .map_err(app_error)
    }

    async fn get(&self, tenant: TenantId, id: ConversationId) -> AppResult<Option<ConversationView>> {
        one(&self.pool, tenant, id.to_string()).await
    }

    async fn messages(
        &self,
        tenant: TenantId,
        id: ConversationId,
        request: &PageRequest,
    ) -> AppResult<Page<MessageView>> {
        let before: Option<i64> = request.after.as_ref().and_then(|cursor| cursor.sort.parse().ok());
        let rows = sqlx::query(
            "select key, body, ordinal::text as sort from message_view
              where tenant_id = $1 and conversation_id = $2 and ($3::bigint is null or ordinal < $3)
              order by ordinal desc limit $4",
        )
        .bind(tenant.0)
        .bind(id.to_string())
        .bind(before)
        .bind(i64::from(request.limit) + 1)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        let mut messages: Page<MessageView> = page(rows, request.limit, None)?;
        messages.rows.reverse();
        Ok(messages)
    }

    async fn message(&self, tenant: TenantId, id: MessageId) -> AppResult<Option<MessageView>> {
        one(&self.pool, tenant, id.to_string()).await
    }

    async fn first_of_run(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        run: Uuid,
    ) -> AppResult<Option<MessageView>> {
        let row = sqlx::query(
            "select body from message_view where tenant_id = $1 and conversation_id = $2 and body ->> 'runId' = $3
              order by ordinal limit 1",
        )
        .bind(tenant.0)
        .bind(conversation.to_string())
        .bind(run.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(app_error)?;
        row.as_ref().map(document).transpose()
    }
}
