//! Generations on their way: a worker on every projecting node carries builds, rollbacks and former generations on,
//! wherever another node left them. All it knows is in the database; whoever dies is replaced by whoever looks next.

pub mod admin;
pub mod begin;
pub mod beside;
pub mod compare;
pub mod listing;
pub mod reader;
pub mod refold;
pub mod slices;
pub mod swap;
pub mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::projections::Differences;
use rand::Rng;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::event_store::generations::{Role, Which};
use crate::event_store::projector::{Projection, Turn};
use crate::event_store::rebuild::beside::{Others, RESTS, Spell};
use crate::event_store::rebuild::compare::Looked;
use crate::event_store::rebuild::reader::{Pace, Reader};

/// Slices a process reads at a time, at most; fewer on fewer cores.
const WORKERS_MAX: usize = 4;
/// Events of a turn that rests after it.
const BATCH_BESIDE: i64 = 15;
/// How often an idle worker looks.
const IDLE_MS: std::ops::Range<u64> = 200..400;
/// How long to leave others what they are at.
const BUSY_MS: u64 = 50;
/// Each time it has not been at the head for so long, rests become shorter by one length of a turn.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a former generation is kept.
const KEPT: &str = "24 hours";

/// Carries generations on.
pub struct Rebuilder {
    pool: PgPool,
    projections: Vec<Arc<dyn Projection>>,
    workers: usize,
    pace: Arc<Pace>,
}

/// A generation that is not live.
#[derive(Debug, Clone)]
struct State {
    role: Role,
    running: bool,
    phase: Option<String>,
    expired: bool,
}

/// What is next.
enum Next {
    /// The same again, at once.
    Again,
    /// After so many milliseconds.
    After(u64),
    /// Nothing: it is live, or gone.
    Over,
}

/// What turns of a generation that is not live came to.
enum Turned {
    /// There may be more.
    Full,
    /// It is at the head.
    AtHead,
    /// Somebody else runs it, or it is halted.
    NotOurs,
}

/// What a generation has cost so far.
#[derive(Default)]
struct Effort {
    /// Swaps that somebody's reading kept from happening.
    attempts: u32,
    /// Since when there has been more after every turn.
    behind: Option<Instant>,
}

impl Effort {
    /// The rests between turns, in lengths of a turn: none in the end (and whole turns), or whoever writes faster than it
    /// reads would be waited for for ever.
    fn rests(&mut self, now: Instant) -> u32 {
        let behind = now.duration_since(*self.behind.get_or_insert(now));
        RESTS.saturating_sub(u32::try_from(behind.as_secs() / PATIENCE.as_secs()).unwrap_or(u32::MAX))
    }
}

impl Rebuilder {
    /// For these projections.
    pub fn new(pool: PgPool, projections: Vec<Arc<dyn Projection>>) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let pace = Arc::new(Pace::new(workers, Others::new(pool.clone())));
        Self { pool, projections, workers, pace }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let rebuilder = Arc::new(self);
        let mut driven: HashMap<(String, i32), JoinHandle<()>> = HashMap::new();
        while !stop.is_cancelled() {
            driven.retain(|_, task| !task.is_finished());
            match rebuilder.generations().await {
                Ok(generations) => {
                    for (projection, generation) in generations {
                        driven.entry((projection.name().to_owned(), generation)).or_insert_with(|| {
                            tokio::spawn(Arc::clone(&rebuilder).drive(projection, generation, stop.clone()))
                        });
                    }
                }
                Err(error) => tracing::warn!(%error, "The generations could not be read"),
            }
            let pause = Duration::from_millis(rand::rng().random_range(IDLE_MS));
            drop(tokio::time::timeout(pause, stop.cancelled()).await);
        }
        for (_, task) in driven {
            drop(task.await);
        }
    }

    async fn generations(&self) -> Result<Vec<(Arc<dyn Projection>, i32)>, sqlx::Error> {
        let rows =
            sqlx::query("select name, generation from projections where role <> 'live' order by name, generation")
                .fetch_all(&self.pool)
                .await?;
        let mut found = Vec::new();
        for row in rows {
            let (name, generation): (String, i32) = (row.try_get("name")?, row.try_get("generation")?);
            let projection = self.projections.iter().find(|projection| projection.name() == name);
            found.extend(projection.map(|projection| (Arc::clone(projection), generation)));
        }
        Ok(found)
    }

    /// Carries one generation on until it is live, gone, or `stop`.
    async fn drive(self: Arc<Self>, projection: Arc<dyn Projection>, generation: i32, stop: CancellationToken) {
        let mut effort = Effort::default();
        while !stop.is_cancelled() {
            let pause = match self.step(&projection, generation, &mut effort, &stop).await {
                Ok(Next::Again) => continue,
                Ok(Next::After(pause)) => pause,
                Ok(Next::Over) => return,
                Err(error) if is_lock_timeout(&error) => BUSY_MS,
                Err(error) => {
                    tracing::warn!(projection = projection.name(), generation, %error, "A generation could not be carried on");
                    1_000
                }
            };
            drop(tokio::time::timeout(Duration::from_millis(pause), stop.cancelled()).await);
        }
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection>,
        generation: i32,
        effort: &mut Effort,
        stop: &CancellationToken,
    ) -> Result<Next, sqlx::Error> {
        let Some(state) = self.state(projection.name(), generation).await? else { return Ok(Next::Over) };
        if state.role == Role::Live {
            return Ok(Next::Over);
        }
        if state.expired {
            return self.expire(projection.name(), generation).await;
        }
        if !state.running {
            effort.behind = None;
            return Ok(Next::After(rand::rng().random_range(IDLE_MS)));
        }
        match state.phase.as_deref() {
            Some("slices") => self.read_slices(projection, generation, stop).await,
            Some("comparing") => self.compare(&**projection, generation, effort, stop).await,
            Some("swapping") => {
                if let Turned::Full = self.turns(&**projection, generation, (effort, RESTS), stop).await? {
                    return Ok(Next::Again);
                }
                let swapped = swap::swap(&self.pool, &**projection, generation, effort.attempts).await;
                effort.attempts += u32::from(swapped.as_ref().is_err_and(is_lock_timeout));
                Ok(if swapped? { Next::Over } else { Next::After(BUSY_MS) })
            }
            Some(_) | None => self.keep_up(&**projection, (generation, state.phase.is_some()), effort, stop).await,
        }
    }

    async fn state(&self, name: &str, generation: i32) -> Result<Option<State>, sqlx::Error> {
        let row = sqlx::query(
            "select role, status = 'running' as running, phase,
                    coalesce(role = 'former' and phase is null and former_since < now() - $3::interval, false) as expired
               from projections where name = $1 and generation = $2",
        )
        .bind(name)
        .bind(generation)
        .bind(KEPT)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(State {
                role: Role::read(row.try_get("role")?),
                running: row.try_get("running")?,
                phase: row.try_get("phase")?,
                expired: row.try_get("expired")?,
            })
        })
        .transpose()
    }

    async fn expire(&self, name: &str, generation: i32) -> Result<Next, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("set local lock_timeout = '2s'").execute(&mut *transaction).await?;
        begin::drop_generation(&mut transaction, name, generation).await?;
        transaction.commit().await?;
        tracing::info!(projection = name, generation, "The former generation is gone");
        Ok(Next::Over)
    }

    /// Reads slices beside whoever else does; when none is left, the build goes on to catch up.
    async fn read_slices(
        &self,
        projection: &Arc<dyn Projection>,
        generation: i32,
        stop: &CancellationToken,
    ) -> Result<Next, sqlx::Error> {
        let name = projection.name();
        let slices: Vec<i32> = sqlx::query_scalar(
            "select slice from rebuild_slices where name = $1 and generation = $2 and not done order by slice",
        )
        .bind(name)
        .bind(generation)
        .fetch_all(&self.pool)
        .await?;
        let mut readers = JoinSet::new();
        for n in 0..self.workers.min(slices.len()) {
            // Each begins elsewhere.
            let mut slices = slices.clone();
            let first = n * slices.len() / self.workers;
            slices.rotate_left(first);
            let reader = Reader {
                pool: self.pool.clone(),
                projection: Arc::clone(projection),
                generation,
                pace: Arc::clone(&self.pace),
            };
            readers.spawn(reader.read(slices, stop.clone()));
        }
        let mut ended = Ok(());
        while let Some(done) = readers.join_next().await {
            ended = ended.and(done.unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error)))));
        }
        ended?;
        let whole = sqlx::query(
            "update projections p set phase = 'catching_up', updated_at = clock_timestamp(), rate = s.rate,
                    events_done = s.events_done, events_total = s.events_done
               from (select coalesce(sum(rate), 0) as rate, coalesce(sum(events_done), 0) as events_done
                       from rebuild_slices where name = $1 and generation = $2) s
              where name = $1 and generation = $2 and phase = 'slices' and status = 'running'
                and not exists (select from rebuild_slices where name = $1 and generation = $2 and not done)",
        )
        .bind(name)
        .bind(generation)
        .execute(&self.pool)
        .await?;
        Ok(if whole.rows_affected() > 0 { Next::Again } else { Next::After(BUSY_MS) })
    }

    /// Turns for a while, as long as there is more to take in; beside others short ones, with so many rests at most.
    async fn turns(
        &self,
        projection: &dyn Projection,
        generation: i32,
        (effort, most): (&mut Effort, u32),
        stop: &CancellationToken,
    ) -> Result<Turned, sqlx::Error> {
        let mut spell = Spell::begin(&self.pool, stop).await?;
        loop {
            let rests = if self.pace.others.are_writing().await? { effort.rests(Instant::now()) } else { 0 };
            let batch = if rests > 0 { projection.batch().min(BATCH_BESIDE) } else { projection.batch() };
            let began = Instant::now();
            match projection.turn_of(&mut spell.connection, Which::Numbered(generation), batch).await? {
                Turn::Advanced { events, .. } if events as i64 >= batch => {}
                Turn::Advanced { .. } => {
                    effort.behind = None;
                    return Ok(Turned::AtHead);
                }
                Turn::NotOurs => return Ok(Turned::NotOurs),
            }
            if !spell.rest(began, rests.min(most)).await {
                return Ok(Turned::Full);
            }
        }
    }

    /// Takes in what has come. A build at the head goes on to be compared.
    async fn keep_up(
        &self,
        projection: &dyn Projection,
        (generation, build): (i32, bool),
        effort: &mut Effort,
        stop: &CancellationToken,
    ) -> Result<Next, sqlx::Error> {
        match self.turns(projection, generation, (effort, RESTS), stop).await? {
            Turned::Full => Ok(Next::Again),
            Turned::AtHead if build => {
                compare::begin(&self.pool, projection.name(), generation).await?;
                Ok(Next::Again)
            }
            Turned::NotOurs if build => Ok(Next::After(BUSY_MS)),
            Turned::AtHead | Turned::NotOurs => Ok(Next::After(rand::rng().random_range(IDLE_MS))),
        }
    }

    /// Looks at range after range for a while; beside others at short ones, with rests.
    async fn compare(
        &self,
        projection: &dyn Projection,
        generation: i32,
        effort: &mut Effort,
        stop: &CancellationToken,
    ) -> Result<Next, sqlx::Error> {
        let mut spell = Spell::begin(&self.pool, stop).await?;
        loop {
            let beside = self.pace.others.are_writing().await?;
            let began = Instant::now();
            match compare::look(&mut spell.connection, projection, generation, beside).await? {
                Looked::Further => {}
                Looked::Found(found) => {
                    drop(spell);
                    return self.compared(projection.name(), generation, &found).await;
                }
                Looked::Behind => {
                    drop(spell);
                    // Were it to rest, the live one might be as far ahead again.
                    let turned = self.turns(projection, generation, (effort, 0), stop).await?;
                    return Ok(if let Turned::NotOurs = turned { Next::After(BUSY_MS) } else { Next::Again });
                }
                Looked::Stopped => return Ok(Next::After(BUSY_MS)),
            }
            if !spell.rest(began, if beside { RESTS } else { 0 }).await {
                return Ok(Next::Again);
            }
        }
    }

    async fn compared(&self, name: &str, generation: i32, found: &Differences) -> Result<Next, sqlx::Error> {
        let noted = sqlx::query(
            "update projections set compared = null, differences = $3,
                    phase = case when confirm and $4 then phase else 'swapping' end,
                    status = case when confirm and $4 then 'paused' else status end
              where name = $1 and generation = $2 and phase = 'comparing' and status = 'running'",
        )
        .bind(name)
        .bind(generation)
        .bind(Json(found))
        .bind(found.any())
        .execute(&self.pool)
        .await?;
        if noted.rows_affected() > 0 {
            let Differences { missing, extra, changed, .. } = found;
            tracing::info!(projection = name, generation, missing, extra, changed, "Generations compared");
        }
        Ok(Next::Again)
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_that_does_not_get_nearer_rests_less_and_then_not_at_all() {
        let (now, mut effort) = (Instant::now(), Effort::default());
        let mut rests = |seconds| effort.rests(now + Duration::from_secs(seconds));
        assert_eq!([0, 119, 120, 479, 480, 1 << 40].map(&mut rests), [4, 4, 3, 1, 0, 0]);
    }
}
