//! Reading slices at a pace that leaves the live system what it needs.

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::event_store::projector::Projection;
use crate::event_store::rebuild::beside::{Others, RESTS, rest};
use crate::event_store::rebuild::slices::{PAGE, PAGE_BESIDE, Page, Slice};

/// What the readers of a process share.
pub struct Pace {
    /// At full pace.
    permits: Semaphore,
    /// Beside others.
    alone: Semaphore,
    /// Those who may write.
    pub others: Others,
}

impl Pace {
    /// For so many readers.
    pub const fn new(readers: usize, others: Others) -> Self {
        Self { permits: Semaphore::const_new(readers), alone: Semaphore::const_new(1), others }
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
                match self.page(&slice, &stop).await? {
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

    async fn page(&self, slice: &Slice, stop: &CancellationToken) -> Result<Page, sqlx::Error> {
        if !self.pace.others.are_writing().await? {
            let _permit = self.pace.permits.acquire().await.ok();
            return self.projection.page(&self.pool, slice, PAGE).await;
        }
        let _permit = self.pace.alone.acquire().await.ok();
        let began = Instant::now();
        let page = self.projection.page(&self.pool, slice, PAGE_BESIDE).await?;
        if matches!(page, Page::Done(_)) {
            rest(began.elapsed() * RESTS, stop).await;
        }
        Ok(page)
    }
}
