//! Beside others: a generation that is not live takes small pieces while somebody writes, and rests between them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio_util::sync::CancellationToken;

use crate::postgres::pool;

/// Events in the last second from which on others are said to write.
const BUSY_EVENTS: i64 = 20;
/// How long an answer counts.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a piece's rest is beside others, in lengths of the piece. Whoever commits shares the cores with it, and waits
/// for the disk behind what it wrote: short pieces help, and so do rests of a few of them; longer ones do not.
pub const RESTS: u32 = 4;
/// How long a spell is, if others need not wait for its connection.
const SPELL: Duration = Duration::from_secs(1);
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

/// Pieces one after the other on one connection that knows the statements, with rests beside others.
pub struct Spell<'a> {
    /// Its connection.
    pub connection: PoolConnection<Postgres>,
    pool: &'a PgPool,
    stop: &'a CancellationToken,
    began: Instant,
}

impl<'a> Spell<'a> {
    /// Begins one that ends with `stop` at the latest.
    ///
    /// # Errors
    /// The database.
    pub async fn begin(pool: &'a PgPool, stop: &'a CancellationToken) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, pool, stop, began: Instant::now() })
    }

    /// Rests after a piece that began at `piece`, for `rests` lengths of it. Whether another piece may follow.
    pub async fn rest(&self, piece: Instant, rests: u32) -> bool {
        if rests > 0 {
            let long = (piece.elapsed() * rests).min(REST_MAX);
            drop(tokio::time::timeout(long, self.stop.cancelled()).await);
        }
        self.began.elapsed() < SPELL && pool::may_keep(self.pool) && !self.stop.is_cancelled()
    }
}
