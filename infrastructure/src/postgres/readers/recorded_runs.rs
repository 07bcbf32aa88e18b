//! Recorded runs, straight from the log.

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::flows::what_if::{EVENTS_PAGE, RecordedRuns, RunPlace, RunRange, Told};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::conversation::Conversation;
use domain::conversation::event::ConversationEvent;
use domain::shared::ids::{ConversationId, FlowId, StreamId, TenantId};
use sqlx::PgPool;

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{RawEvent, read_stream};
use crate::postgres::app_error;

/// Served by the index `events_flow_runs`.
const FIND: &str = "
select aggregate_id, sequence from events
 where event_type = 'conversation.flow_run_started' and tenant_id = $1 and payload ->> 'flowId' = $2
   and recorded_at >= coalesce($3, '-infinity'::timestamptz) and recorded_at < coalesce($4, 'infinity'::timestamptz)
 order by recorded_at desc limit $5";

/// [`RecordedRuns`] over the event log.
pub struct PgRecordedRuns {
    /// The database.
    pub pool: PgPool,
    /// The keys of contacts.
    pub keys: Arc<KeyRing>,
}

#[async_trait]
impl RecordedRuns for PgRecordedRuns {
    async fn find(&self, tenant: TenantId, flow: FlowId, range: &RunRange) -> AppResult<Vec<RunPlace>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(FIND)
            .bind(tenant.to_string())
            .bind(flow.to_string())
            .bind(range.from)
            .bind(range.to)
            .bind(i64::from(range.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let place = |(stream, sequence): (String, i64)| {
            let stream: StreamId = stream.parse().map_err(AppError::internal)?;
            Ok(RunPlace { conversation: ConversationId(stream.id), sequence })
        };
        rows.into_iter().map(place).collect()
    }

    async fn events(&self, tenant: TenantId, conversation: ConversationId, after: i64) -> AppResult<Vec<Told>> {
        let mut connection = self.pool.acquire().await.map_err(app_error)?;
        let stream = StreamId::new(tenant, conversation.0).to_string();
        let page = read_stream(&mut connection, Conversation::TYPE, &stream, after, i64::from(EVENTS_PAGE));
        let mut page = page.await.map_err(app_error)?;
        self.keys.open(&mut connection, &mut page).await.map_err(KeyError::into_database).map_err(app_error)?;
        let told = |event: &RawEvent| {
            if event.erased {
                return Ok((event.sequence, None));
            }
            let recorded = event.decode::<ConversationEvent>().map_err(AppError::internal)?;
            Ok((recorded.sequence, Some(recorded.event)))
        };
        page.iter().map(told).collect()
    }
}
