//! Reading slices at a pace that leaves the live system what it needs.

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::event_store::projector::Projection;
use crate::event_store::rebuild::beside::{Others, RESTS, Spell};
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
                match self.pages(&slice, &stop).await? {
                    Page::Done(_) => {}
                    Page::NotOurs => break,
                    Page::Halted => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Pages for a while; beside others small ones, with rests. The last of them.
    async fn pages(&self, slice: &Slice, stop: &CancellationToken) -> Result<Page, sqlx::Error> {
        let beside = self.pace.others.are_writing().await?;
        let (may, limit) = if beside { (&self.pace.alone, PAGE_BESIDE) } else { (&self.pace.permits, PAGE) };
        let _permit = may.acquire().await.ok();
        let mut spell = Spell::begin(&self.pool, stop).await?;
        loop {
            let began = Instant::now();
            let page = self.projection.page(&mut spell.connection, slice, limit).await?;
            let Page::Done(events) = page else { return Ok(page) };
            metrics::counter!("projection_rebuild_events_total", "projection" => self.projection.name())
                .increment(events.unsigned_abs());
            if !beside || !spell.rest(began, RESTS).await {
                return Ok(page);
            }
        }
    }
}
