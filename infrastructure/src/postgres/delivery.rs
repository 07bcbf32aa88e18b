//! How deliveries stand: the outbox, the read models and the log, seen together.

mod lines;
mod rows;
mod statuses;

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::monitoring::ports::{Bounds, DeadLetters, Deliveries, MessageHistory, Whereabouts};
use application::monitoring::views::{DeliveryList, DeliveryRow, LineHealth};
use application::page::{Cursor, Page, PageRequest};
use async_trait::async_trait;
use domain::shared::ids::{ConversationId, MessageId, StreamId, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::event_store::history::entry;
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{COLUMNS, RawEvent};
use crate::postgres::app_error;

/// Events of one message that are read at most.
const EVENTS_MAX: i64 = 1_000;

/// Deliveries in Postgres.
pub struct PgDeliveries {
    /// The database.
    pub pool: PgPool,
    /// The keys of contacts.
    pub keys: Arc<KeyRing>,
}

#[async_trait]
impl Deliveries for PgDeliveries {
    async fn lines(&self, tenant: TenantId, bounds: &Bounds) -> AppResult<Vec<LineHealth>> {
        let query = sqlx::query(lines::HEALTH).bind(tenant.0).bind(bounds.stale_before);
        let query = query.bind(application::time::Stamp(bounds.counted_since).to_string()).bind(bounds.now);
        query.try_map(|row: PgRow| lines::health(&row)).fetch_all(&self.pool).await.map_err(app_error)
    }

    async fn page(
        &self,
        tenant: TenantId,
        list: DeliveryList,
        bounds: &Bounds,
        page: &PageRequest,
    ) -> AppResult<Page<DeliveryRow>> {
        let limit = i64::from(page.limit) + 1;
        let query = match list {
            DeliveryList::Failed => {
                let (sort, key) = (page.after.as_ref().map(|it| &it.sort), page.after.as_ref().map(|it| &it.key));
                sqlx::query(rows::FAILED).bind(tenant.0).bind(limit).bind(sort).bind(key)
            }
            DeliveryList::Stale => {
                let query = sqlx::query(rows::STALE).bind(tenant.0).bind(limit).bind(before(page.after.as_ref())?);
                query.bind(bounds.stale_before)
            }
            DeliveryList::Doubtful => {
                sqlx::query(rows::DOUBTFUL).bind(tenant.0).bind(limit).bind(before(page.after.as_ref())?)
            }
        };
        let mut found = query.fetch_all(&self.pool).await.map_err(app_error)?;
        let more = found.len() > page.limit as usize;
        found.truncate(page.limit as usize);
        let cursor = |row: &PgRow| Ok(Cursor { sort: row.try_get("sort")?, key: row.try_get("key")? });
        let next = found.last().filter(|_| more).map(cursor).transpose().map_err(app_error)?;
        let rows = found.iter().map(rows::listed).collect::<sqlx::Result<_>>().map_err(app_error)?;
        Ok(Page { rows, next, total: None })
    }

    async fn find(&self, tenant: TenantId, message: MessageId) -> AppResult<Option<Whereabouts>> {
        let row = sqlx::query(rows::FIND).bind(tenant.0).bind(message.0).fetch_optional(&self.pool).await;
        row.map_err(app_error)?.map(|row| rows::whereabouts(&row)).transpose().map_err(app_error)
    }

    async fn history(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        message: MessageId,
    ) -> AppResult<MessageHistory> {
        let stream = StreamId::new(tenant, conversation.0).to_string();
        let statement = format!(
            "select {COLUMNS} from events e
              where e.aggregate_type = 'conversation' and e.aggregate_id = $1
                and e.event_type like 'conversation.message\\_%' and e.payload ->> 'messageId' = $2
              order by e.sequence limit $3"
        );
        let mut connection = self.pool.acquire().await.map_err(app_error)?;
        let rows = sqlx::query(&statement).bind(&stream).bind(message.to_string()).bind(EVENTS_MAX);
        let rows = rows.fetch_all(&mut *connection).await.map_err(app_error)?;
        let mut events = rows.iter().map(RawEvent::read).collect::<sqlx::Result<Vec<_>>>().map_err(app_error)?;
        self.keys.open(&mut connection, &mut events).await.map_err(KeyError::into_database).map_err(app_error)?;
        let mut history = MessageHistory::default();
        for event in events {
            history.events.push(event.decode().map_err(AppError::internal)?);
            history.entries.push(entry(event).map_err(AppError::internal)?);
        }
        Ok(history)
    }

    async fn dead(&self, tenant: TenantId, line: Option<&str>, limit: u32) -> AppResult<DeadLetters> {
        let of = "from outbox where tenant_id = $1 and state = 4 and ($2::text is null or bucket = $2)";
        let statement = format!("select message_id {of} order by due_at, id limit $3");
        let query = sqlx::query_scalar(&statement).bind(tenant.0).bind(line).bind(i64::from(limit));
        let messages: Vec<Uuid> = query.fetch_all(&self.pool).await.map_err(app_error)?;
        let statement = format!("select count(*) {of}");
        let total: i64 =
            sqlx::query_scalar(&statement).bind(tenant.0).bind(line).fetch_one(&self.pool).await.map_err(app_error)?;
        Ok(DeadLetters { messages: messages.into_iter().map(MessageId).collect(), total: total.unsigned_abs() })
    }

    async fn passed_over(&self, tenant: TenantId, messages: &[MessageId]) -> AppResult<()> {
        let messages: Vec<Uuid> = messages.iter().map(|message| message.0).collect();
        sqlx::query("update outbox set due_at = now() where tenant_id = $1 and message_id = any($2) and state = 4")
            .bind(tenant.0)
            .bind(messages)
            .execute(&self.pool)
            .await
            .map_err(app_error)?;
        Ok(())
    }
}

/// The row a page begins behind.
pub(super) fn before(after: Option<&Cursor>) -> AppResult<Option<i64>> {
    let bad = |_| AppError::not_our_cursor();
    after.map(|cursor| cursor.sort.parse().map_err(bad)).transpose()
}
