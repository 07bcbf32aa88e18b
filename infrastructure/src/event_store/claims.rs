//! Who holds which conversation, read from the log itself.

use application::conversations::claims::ClaimReader;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use domain::shared::ids::{ConversationId, StreamId, TenantId, UserId};
use sqlx::PgPool;

use crate::postgres::app_error;

/// Claims nothing came after that ends them. Read by the index `events_claims`.
const HELD: &str = "
select distinct c.aggregate_id from events c
 where c.tenant_id = $1 and c.event_type = 'conversation.claimed' and c.payload ->> 'by' = $2
   and not exists (select from events later
                    where later.aggregate_type = c.aggregate_type and later.aggregate_id = c.aggregate_id
                      and later.sequence > c.sequence
                      and later.event_type in ('conversation.released', 'conversation.closed', 'conversation.contact_erased'))";

/// [`ClaimReader`] on the log.
pub struct PgClaims {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl ClaimReader for PgClaims {
    async fn held_by(&self, tenant: TenantId, person: UserId) -> AppResult<Vec<ConversationId>> {
        let streams: Vec<String> = sqlx::query_scalar(HELD)
            .bind(tenant.to_string())
            .bind(person.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let conversation = |stream: &String| stream.parse().map(|stream: StreamId| ConversationId(stream.id));
        streams.iter().map(conversation).collect::<Result<_, _>>().map_err(AppError::internal)
    }
}
