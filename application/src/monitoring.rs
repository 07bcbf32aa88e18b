//! How deliveries stand: lines, the queue, what failed; and what a person does about it.

pub mod audit;
pub mod ports;
pub mod prospects;
pub mod queue_log;
pub mod retry;
pub mod views;

use std::sync::Arc;

use chrono::TimeDelta;
use domain::conversation::Conversation;

use crate::actor::Session;
use crate::channels::lines::LineStops;
use crate::commands::{CatchUp, Commands};
use crate::error::{AppError, AppResult};
use crate::monitoring::ports::{Bounds, Deliveries};
use crate::monitoring::queue_log::{QueueLog, QueueLogFilter, QueueLogRow};
use crate::monitoring::views::{DeliveryList, DeliveryRow, Health, LineHealth, Totals};
use crate::page::{Page, PageRequest};
use crate::time::{Clock, Stamp};

/// A message that waits longer than this is stale.
pub const STALE_AFTER: TimeDelta = TimeDelta::minutes(15);
/// What counts and rates look back over.
pub const COUNTED: TimeDelta = TimeDelta::hours(24);
/// Messages shown beside the health of the lines.
const SHOWN: u32 = 10;

/// Watches the deliveries of accounts.
pub struct Monitoring {
    /// Where they stand.
    pub deliveries: Arc<dyn Deliveries>,
    /// What happened in the queue.
    pub log: Arc<dyn QueueLog>,
    /// Where commands go.
    pub commands: Arc<dyn Commands<Conversation>>,
    /// Stops and resumes lines.
    pub stops: Arc<dyn LineStops>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Monitoring {
    /// Every line of the account with its queue, totals, and the newest messages that failed or wait too long.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn health(&self, session: &Session) -> AppResult<Health> {
        let bounds = self.bounds();
        let lines = self.deliveries.lines(session.tenant, &bounds).await?;
        let newest = PageRequest { limit: SHOWN, after: None };
        let failed = self.deliveries.page(session.tenant, DeliveryList::Failed, &bounds, &newest).await?.rows;
        let stale = self.deliveries.page(session.tenant, DeliveryList::Stale, &bounds, &newest).await?.rows;
        Ok(Health {
            at: Stamp(bounds.now),
            stale_after_sec: STALE_AFTER.num_seconds().unsigned_abs(),
            totals: Totals::of(&lines),
            lines,
            failed,
            stale,
        })
    }

    /// A page of the messages that failed, wait too long or are in doubt, the newest first.
    ///
    /// # Errors
    /// They cannot be read, or the cursor is none of ours.
    pub async fn page(
        &self,
        session: &Session,
        list: DeliveryList,
        page: &PageRequest,
    ) -> AppResult<Page<DeliveryRow>> {
        self.deliveries.page(session.tenant, list, &self.bounds(), page).await
    }

    /// Nothing goes out on the line until it is resumed; its queue stays.
    ///
    /// # Errors
    /// The account has no such line.
    pub async fn pause(&self, session: &Session, line: &str) -> AppResult<LineHealth> {
        self.stops.pause(session, line).await?;
        self.line(session, line).await
    }

    /// The line goes on, and its incident is closed.
    ///
    /// # Errors
    /// The account has no such line.
    pub async fn resume(&self, session: &Session, line: &str) -> AppResult<LineHealth> {
        self.stops.resume(session, line).await?;
        self.line(session, line).await
    }

    /// What happened in the account's queue, the newest first.
    ///
    /// # Errors
    /// It cannot be read, or the cursor is none of ours.
    pub async fn queue_log(
        &self,
        session: &Session,
        filter: &QueueLogFilter,
        page: &PageRequest,
    ) -> AppResult<Page<QueueLogRow>> {
        self.log.page(session.tenant, filter, page).await
    }

    async fn line(&self, session: &Session, line: &str) -> AppResult<LineHealth> {
        let lines = self.deliveries.lines(session.tenant, &self.bounds()).await?;
        lines.into_iter().find(|it| it.phone_number_id == line).ok_or(AppError::NotFound("line"))
    }

    fn bounds(&self) -> Bounds {
        let now = self.clock.now();
        Bounds { now, stale_before: now - STALE_AFTER, counted_since: now - COUNTED }
    }
}
