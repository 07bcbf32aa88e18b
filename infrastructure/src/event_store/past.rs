//! Streams up to a point, for those who fold them.

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::history::at::At;
use application::time_travel::{Past, Take};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use sqlx::PgPool;

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::read_stream;
use crate::postgres::app_error;

/// Events read at a time.
const PAGE: i64 = 1_000;

/// The past in Postgres.
pub struct PgPast {
    /// The database.
    pub pool: PgPool,
    /// The keys of contacts.
    pub keys: Arc<KeyRing>,
}

#[async_trait]
impl<A: Aggregate> Past<A> for PgPast
where
    A::Event: Send + Sync,
{
    async fn replay(&self, stream: &StreamId, at: &At, take: Take<'_, A>) -> AppResult<()> {
        let name = stream.to_string();
        let mut after = 0;
        loop {
            let mut connection = self.pool.acquire().await.map_err(app_error)?;
            let mut events = read_stream(&mut connection, A::TYPE, &name, after, PAGE).await.map_err(app_error)?;
            self.keys.open(&mut connection, &mut events).await.map_err(KeyError::into_database).map_err(app_error)?;
            drop(connection);
            let last_page = (events.len() as i64) < PAGE;
            for event in events {
                // Clocks go back at times; a stream does not.
                if !at.reached_by(event.recorded_at, event.position) {
                    return Ok(());
                }
                after = event.sequence;
                let recorded = event.decode::<A::Event>().map_err(|reason| {
                    AppError::internal(format!("event {after} of {name} cannot be read: {reason}"))
                })?;
                take(&recorded);
            }
            if last_page {
                return Ok(());
            }
        }
    }
}
