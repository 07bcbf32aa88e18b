//! Keeps projections running, and lets callers wait until they know.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use application::commands::CatchUp;
use application::log::Position;
use async_trait::async_trait;
use rand::Rng;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::event_store::commands::Pokes;
use crate::event_store::generations;
use crate::event_store::live::{LiveProjections, Taken};
use crate::event_store::projector::{BATCH_MAX, Turn};

/// How long a caller waits for the read models at most.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// An event may be committed and not yet below the horizon: look again after these.
const AGAIN_MS: [u64; 3] = [5, 20, 80];
/// How often an idle projection looks without being woken.
const IDLE_MS: std::ops::Range<u64> = 200..400;
/// How long a projection that took something in rests while nobody waits for it: what comes meanwhile shares a turn.
const REST: Duration = Duration::from_millis(100);
/// The same after a turn of so many events: a message that is queued and sent within one is written once, not twice.
const REST_BUSY: Duration = Duration::from_millis(250);
const BUSY_EVENTS: usize = 100;

/// Where each projection stands, as far as this node knows, and whether somebody waits for one.
#[derive(Debug, Default)]
pub struct Checkpoints {
    known: RwLock<HashMap<&'static str, watch::Sender<Position>>>,
    awaited: Notify,
}

impl Checkpoints {
    fn of(&self, name: &'static str) -> watch::Sender<Position> {
        if let Some(sender) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return sender.clone();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(name).or_insert_with(|| watch::Sender::new(Position::default())).clone()
    }

    fn reached(&self, name: &'static str, position: Position) {
        self.of(name).send_if_modified(|known| {
            let news = *known < position;
            *known = position.max(*known);
            news
        });
    }

    fn are_awaited(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|sender| sender.receiver_count() > 0)
    }
}

/// Runs projections until `stop`.
pub async fn run(live: LiveProjections, pokes: Arc<Pokes>, checkpoints: Arc<Checkpoints>, stop: CancellationToken) {
    let mut grown = pokes.log.subscribe();
    let mut looks = 0;
    while !stop.is_cancelled() {
        grown.mark_unchanged();
        let (mut rest, mut pause) = (Duration::ZERO, Duration::from_secs(1));
        match live.turn().await {
            Ok(taken) => {
                let most = note(&taken, &checkpoints);
                if most as i64 >= BATCH_MAX {
                    continue;
                }
                if most > 0 && !checkpoints.are_awaited() {
                    rest = if most < BUSY_EVENTS { REST } else { REST_BUSY };
                }
                looks = if most > 0 { 0 } else { looks + 1 };
                let again = AGAIN_MS.get(looks).copied().unwrap_or_else(|| rand::rng().random_range(IDLE_MS));
                pause = Duration::from_millis(again).max(rest);
            }
            Err(error) => tracing::warn!(%error, "The projections could not take their turn"),
        }
        let rested = tokio::time::sleep(rest);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = async { rested.await; grown.changed().await } => looks = 0,
            () = checkpoints.awaited.notified() => looks = 0,
            () = stop.cancelled() => {}
        }
    }
}

/// Notes where projections stand; the most events that one of them read.
fn note(taken: &Taken, checkpoints: &Checkpoints) -> usize {
    let mut most = 0;
    for (name, turn) in taken {
        if let Turn::Advanced { events, position } = turn {
            checkpoints.reached(name, *position);
            metrics::counter!("projection_events_total", "projection" => *name).increment(*events as u64);
            most = most.max(*events);
        }
    }
    most
}

/// Waits by what this node knows, and by the checkpoints' table for what other nodes project.
pub struct PgCatchUp {
    /// The database.
    pub pool: PgPool,
    /// What this node knows.
    pub checkpoints: Arc<Checkpoints>,
}

#[async_trait]
impl CatchUp for PgCatchUp {
    async fn wait(&self, models: &[&'static str], position: Position) -> bool {
        let all = async {
            for name in models {
                self.wait_for(name, position).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, all).await.is_ok()
    }
}

impl PgCatchUp {
    async fn wait_for(&self, name: &'static str, position: Position) {
        let mut known = self.checkpoints.of(name).subscribe();
        loop {
            if *known.borrow_and_update() >= position {
                return;
            }
            self.checkpoints.awaited.notify_one();
            if tokio::time::timeout(Duration::from_millis(100), known.changed()).await.is_err()
                && let Ok(reached) = self.stored(name).await
            {
                self.checkpoints.reached(name, reached);
            }
        }
    }

    async fn stored(&self, name: &str) -> Result<Position, sqlx::Error> {
        let row = sqlx::query(
            "select log_epoch, transaction_id::text as transaction_text, position from projections
              where name = $1 and role = 'live'",
        )
        .bind(name)
        .fetch_one(&self.pool)
        .await?;
        generations::position(&row)
    }
}

/// Makes the checkpoints of projections that are new.
///
/// # Errors
/// The database.
pub async fn register(pool: &PgPool, names: &[&str]) -> Result<(), sqlx::Error> {
    sqlx::query("insert into projections (name) select * from unnest($1::text[]) on conflict do nothing")
        .bind(names)
        .execute(pool)
        .await?;
    Ok(())
}
