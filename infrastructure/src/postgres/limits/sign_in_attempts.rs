//! Attempts to sign in: a row a name for everywhere, and one for each network the name signed in from lately. One
//! statement counts an attempt and gives it its turn.

use std::time::Duration;

use application::error::AppResult;
use application::limits::turns::{SignInAttempts, Turn};
use async_trait::async_trait;
use domain::allowance::Patience;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use crate::postgres::app_error;
use crate::postgres::limits::{Digest, LimitKeys};

/// The turn of an attempt comes its distance after the turn before it. `$3` holds the distances by number, `$4` is the
/// quiet that forgets, `$5` how long one may wait; all in seconds.
const BEGIN: &str = "
with lane as (
    select coalesce((select place from sign_in_attempts
                      where name = $1 and place = $2 and turn_at > now() - interval '30 days'), ''::bytea) as place)
insert into sign_in_attempts as a (name, place, attempts, turn_at, granted)
select $1, place, 1, now() + make_interval(secs => ($3::float8[])[1]), true from lane
on conflict (name, place) do update set (attempts, turn_at, granted) = (
    select case when at <= now() + make_interval(secs => $5) then number else a.attempts end,
           case when at <= now() + make_interval(secs => $5) then at else a.turn_at end,
           at <= now() + make_interval(secs => $5)
      from (select case when a.turn_at < now() - make_interval(secs => $4) then 1 else a.attempts + 1 end as number) n,
           lateral (select greatest(now(),
               a.turn_at + make_interval(secs => ($3::float8[])[least(number, cardinality($3::float8[]))])) as at) t)
returning granted, extract(epoch from turn_at - now())::float8 as wait_sec, extract(epoch from
    turn_at + make_interval(secs => ($3::float8[])[least(attempts + 1, cardinality($3::float8[]))]) - now())::float8
    as next_sec";

/// The lane the attempt went through is forgotten, and the network is known from now on.
const SUCCEEDED: &str = "
with forgotten as (
    delete from sign_in_attempts where name = $1 and place = ''
       and not exists (select from sign_in_attempts where name = $1 and place = $2))
insert into sign_in_attempts as a (name, place, attempts, turn_at, granted) values ($1, $2, 0, now(), true)
on conflict (name, place) do update set attempts = 0, turn_at = now()";

/// [`SignInAttempts`] on Postgres.
pub struct PgSignInAttempts {
    pool: PgPool,
    keys: LimitKeys,
}

impl PgSignInAttempts {
    /// Attempts in this database.
    pub fn new(pool: PgPool, keys: LimitKeys) -> Self {
        Self { pool, keys }
    }

    /// Names are the same in upper and lower case.
    fn row(&self, name: &str, network: &str) -> (Digest, Digest) {
        let name = name.to_lowercase();
        (self.keys.digest(&["sign-in name", &name]), self.keys.digest(&["sign-in network", &name, network]))
    }
}

#[async_trait]
impl SignInAttempts for PgSignInAttempts {
    async fn begin(&self, name: &str, network: &str, patience: &Patience) -> AppResult<Turn> {
        let (name, place) = self.row(name, network);
        let distances: Vec<f64> = patience.distances().iter().map(Duration::as_secs_f64).collect();
        sqlx::query(BEGIN)
            .bind(name.as_slice())
            .bind(place.as_slice())
            .bind(distances)
            .bind(patience.quiet.as_secs_f64())
            .bind(patience.longest.as_secs_f64())
            .try_map(|row: PgRow| turn(&row))
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn succeeded(&self, name: &str, network: &str) -> AppResult<()> {
        let (name, place) = self.row(name, network);
        let query = sqlx::query(SUCCEEDED).bind(name.as_slice()).bind(place.as_slice());
        query.execute(&self.pool).await.map(drop).map_err(app_error)
    }
}

fn turn(row: &PgRow) -> sqlx::Result<Turn> {
    let seconds = |name: &str| row.try_get::<f64, _>(name).map(|it| Duration::from_secs_f64(it.max(0.0)));
    Ok(if row.try_get("granted")? { Turn::After(seconds("wait_sec")?) } else { Turn::Crowded(seconds("next_sec")?) })
}
