//! Beside others: a generation that is not live takes small pieces while somebody writes, and rests between them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Events in the last second from which on others are said to write.
const BUSY_EVENTS: i64 = 20;
/// How long an answer counts.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a piece's rest is beside others, in lengths of the piece: whoever commits shares the cores with pieces, and
/// waits for the disk behind what they wrote. Many small pieces hold others up less than few big ones, and get as far.
pub const RESTS: u32 = 5;
/// How long a connection that knows the statements is kept for pieces and their rests, if others need not wait for it.
pub const AT_A_STRETCH: Duration = Duration::from_secs(1);
/// The longest rest: a piece that waited for a lock or a disk says nothing of the next.
const REST_MAX: Duration = Duration::from_secs(1);

/// The others.
pub struct Others {
    pool: PgPool,
    looked: Mutex<Option<(Instant, bool)>>,
}

impl Others {
    /// Of this database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, looked: Mutex::new(None) }
    }

    /// Whether they write; a quarter of a second ago at most.
    ///
    /// # Errors
    /// The database.
    pub async fn are_writing(&self) -> Result<bool, sqlx::Error> {
        let known = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, writing)) = known.filter(|(at, _)| at.elapsed() < LOOK_EVERY) {
            return Ok(writing);
        }
        let writing = sqlx::query_scalar(
            "select coalesce((select e.recorded_at > clock_timestamp() - interval '1 second' from events e
               order by e.log_epoch desc, e.transaction_id desc, e.global_position desc offset $1 limit 1), false)",
        )
        .bind(BUSY_EVENTS)
        .fetch_one(&self.pool)
        .await?;
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), writing));
        Ok(writing)
    }
}

/// Rests for so long, or until `stop`.
pub async fn rest(long: Duration, stop: &CancellationToken) {
    drop(tokio::time::timeout(long.min(REST_MAX), stop.cancelled()).await);
}
