//! Reading slices at a pace that leaves the live system what it needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{PgExecutor, PgPool};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::event_store::projector::Projection;
use crate::event_store::rebuild::slices::{PAGE, PAGE_BESIDE, Page, Slice};

/// Events in the last second from which on others are said to write.
const BUSY_EVENTS: i64 = 20;
/// How long a piece's pause is beside others, in lengths of the piece: a fifth of one core at most.
pub const PAUSES: u32 = 4;

/// What the readers of a process share.
pub struct Pace {
    /// At full pace.
    permits: Semaphore,
    /// Beside others.
    alone: Semaphore,
}

impl Pace {
    /// For so many readers.
    pub fn new(readers: usize) -> Self {
        Self { permits: Semaphore::new(readers), alone: Semaphore::new(1) }
    }
}

/// A reader of slices.
pub struct Reader {
    /// The database.
    pub pool: PgPool,
    /// What is rebuilt.
    pub projection: Arc<dyn Projection>,
    /// The generation that is built.
    pub generation: i32,
    /// What it shares.
    pub pace: Arc<Pace>,
}

impl Reader {
    /// Reads these slices as far as nobody else does, until `stop`.
    ///
    /// # Errors
    /// The database; pages that are in remain.
    pub async fn read(self, slices: Vec<i32>, stop: CancellationToken) -> Result<(), sqlx::Error> {
        for slice in slices {
            let slice = Slice { name: self.projection.name().to_owned(), generation: self.generation, slice };
            while !stop.is_cancelled() {
                match self.page(&slice).await? {
                    Page::Done(events) => {
                        metrics::counter!("projection_rebuild_events_total", "projection" => self.projection.name())
                            .increment(events.unsigned_abs());
                    }
                    Page::NotOurs => break,
                    Page::Halted => return Ok(()),
                }
            }
        }
        Ok(())
    }

    async fn page(&self, slice: &Slice) -> Result<Page, sqlx::Error> {
        if !busy(&self.pool).await? {
            let _permit = self.pace.permits.acquire().await.ok();
            return self.projection.page(&self.pool, slice, PAGE).await;
        }
        let _permit = self.pace.alone.acquire().await.ok();
        let began = Instant::now();
        let page = self.projection.page(&self.pool, slice, PAGE_BESIDE).await?;
        if matches!(page, Page::Done(_)) {
            tokio::time::sleep((began.elapsed() * PAUSES).min(Duration::from_secs(1))).await;
        }
        Ok(page)
    }
}

/// Whether others write.
///
/// # Errors
/// The database.
pub async fn busy(database: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select coalesce((select e.recorded_at > clock_timestamp() - interval '1 second' from events e
           order by e.log_epoch desc, e.transaction_id desc, e.global_position desc offset $1 limit 1), false)",
    )
    .bind(BUSY_EVENTS)
    .fetch_one(database)
    .await
}
