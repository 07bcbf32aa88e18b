//! Allowances: the instants of what was taken lately, a row an allowance. One statement looks and takes, so that nodes
//! cannot overdraw it together.

use std::time::{Duration, Instant};

use application::error::AppResult;
use application::limits::{Allowances, Standing, Taken};
use async_trait::async_trait;
use domain::allowance::Rate;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use tokio::sync::Mutex;

use crate::postgres::app_error;
use crate::postgres::limits::{Digest, LimitKeys};
use crate::postgres::ttl_cache::TtlCache;

/// Takes when something is left: what was taken longer ago than the period is there again.
const TAKE: &str = "
insert into allowances as a (key, taken, granted, forget_at)
values ($1, array[now()], true, now() + make_interval(secs => $3))
on conflict (key) do update set (taken, granted, forget_at) = (
    select case when cardinality(recent) < $2 then recent || now() else recent end,
           cardinality(recent) < $2, now() + make_interval(secs => $3)
      from (select coalesce(array_agg(at order by at), '{}') as recent
              from unnest(a.taken) as at where at > now() - make_interval(secs => $3)) as it)
returning granted, cardinality(taken) as used,
    extract(epoch from taken[1] + make_interval(secs => $3) - now())::float8 as next_sec,
    extract(epoch from taken[cardinality(taken)] + make_interval(secs => $3) - now())::float8 as reset_sec";

/// Refusals remembered, and for how long at most.
const REFUSALS: usize = 20_000;
const REFUSAL_TTL: Duration = Duration::from_secs(3_600);
/// Statements under way at once. Each key has its lane, so that a flood from one address holds one connection.
const LANES: usize = 32;

/// An allowance that is used up.
#[derive(Debug, Clone, Copy)]
struct UsedUp {
    limit: u32,
    next: Instant,
    reset: Instant,
}

/// [`Allowances`] on Postgres.
pub struct PgAllowances {
    pool: PgPool,
    keys: LimitKeys,
    used_up: TtlCache<Digest, UsedUp>,
    lanes: [Mutex<()>; LANES],
}

impl PgAllowances {
    /// Allowances in this database.
    pub fn new(pool: PgPool, keys: LimitKeys) -> Self {
        let lanes = std::array::from_fn(|_| Mutex::new(()));
        Self { pool, keys, used_up: TtlCache::new(REFUSALS, REFUSAL_TTL), lanes }
    }

    /// A refusal stands until its time is over: nobody needs to ask the database again.
    fn known_refusal(&self, key: &Digest) -> Option<Taken> {
        let now = Instant::now();
        let used_up = self.used_up.get(key).filter(|it| now < it.next)?;
        let standing = Standing { limit: used_up.limit, remaining: 0, reset: used_up.reset - now };
        Some(Taken { standing, refused: Some(used_up.next - now) })
    }
}

#[async_trait]
impl Allowances for PgAllowances {
    async fn take(&self, what: &str, whose: &str, rate: Rate) -> AppResult<Taken> {
        let key = self.keys.digest(&[what, whose]);
        if let Some(refusal) = self.known_refusal(&key) {
            return Ok(refusal);
        }
        let _lane = self.lanes[usize::from(key[0]) % LANES].lock().await;
        // Somebody before us in the lane may have learned it.
        if let Some(refusal) = self.known_refusal(&key) {
            return Ok(refusal);
        }
        let before = self.used_up.epoch();
        let limit = rate.times.get();
        let taken = sqlx::query(TAKE)
            .bind(key.as_slice())
            .bind(i32::try_from(limit).unwrap_or(i32::MAX))
            .bind(rate.per.as_secs_f64())
            .try_map(|row: PgRow| taken(&row, limit))
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        if let Some(wait) = taken.refused {
            let now = Instant::now();
            let used_up = UsedUp { limit, next: now + wait, reset: now + taken.standing.reset };
            self.used_up.put(before, key, used_up);
        }
        Ok(taken)
    }
}

fn taken(row: &PgRow, limit: u32) -> sqlx::Result<Taken> {
    let seconds = |name: &str| row.try_get::<f64, _>(name).map(|it| Duration::from_secs_f64(it.max(0.0)));
    let used = u32::try_from(row.try_get::<i32, _>("used")?).unwrap_or(limit);
    let standing = Standing { limit, remaining: limit.saturating_sub(used), reset: seconds("reset_sec")? };
    let refused = if row.try_get("granted")? { None } else { Some(seconds("next_sec")?) };
    Ok(Taken { standing, refused })
}
