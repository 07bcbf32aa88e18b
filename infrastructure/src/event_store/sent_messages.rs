//! Finds our message by the channel's id, by the key its append left.

use application::commands::{SentMessages, Try, outbound_key};
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use domain::shared::ids::{ConversationId, StreamId, TenantId};
use sqlx::{PgPool, Row};

use crate::event_store::append_sql::hashed;
use crate::postgres::app_error;

/// Our messages in Postgres.
pub struct PgSentMessages {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl SentMessages for PgSentMessages {
    async fn find(&self, tenant: TenantId, provider_message_id: &str) -> AppResult<Option<Try>> {
        let row = sqlx::query("select stream, reference from once where tenant_id = $1 and key = $2")
            .bind(tenant.0)
            .bind(hashed(&outbound_key(provider_message_id)))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)?;
        row.map(|row| {
            let stream: StreamId =
                row.try_get::<String, _>("stream").map_err(app_error)?.parse().map_err(AppError::internal)?;
            let reference: String = row.try_get("reference").map_err(app_error)?;
            Try::of(ConversationId(stream.id), &reference)
                .ok_or_else(|| AppError::internal("a sent message's key refers to no message"))
        })
        .transpose()
    }
}
