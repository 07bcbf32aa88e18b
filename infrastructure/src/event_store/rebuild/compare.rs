//! The new generation against the live one, key by key: range after range, each while both stand at the same cursor.
//! What is held is held for one range alone, so the live one goes on, and no old snapshot keeps rows that are gone.

use std::ops::ControlFlow;
use std::time::Instant;

use application::projections::{Difference, Differences};
use sqlx::{Connection, PgConnection, PgPool, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::event_store::generations::{self, Held, Role, Which, table};
use crate::event_store::projector::{Projection, Turn, UNHURRIED};
use crate::event_store::rebuild::beside::{Others, RESTS, rest};

/// Keys that are named.
const SAMPLE: usize = 20;
/// Keys of a range, at most.
const RANGE: i64 = 500;
/// And beside others.
const RANGE_BESIDE: i64 = 100;
/// Accounts whose last ranges are compared together.
const ACCOUNTS: usize = 8;

/// What came of it.
pub enum Compared {
    /// They were compared, or there was nothing to compare with.
    Found(Differences),
    /// Not now: somebody else compares them, or the build was stopped.
    Later,
}

/// What became of a look.
enum Looked {
    /// It compared; whether there is more.
    Compared(bool),
    /// Not yet: the two came nearer to each other, or one of them halted on its way.
    Nearer,
    /// The live one is halted, so there is nothing to compare with.
    Halted(String),
    /// The build was stopped, or is gone.
    Stopped,
}

/// Compares, until `stop`.
///
/// # Errors
/// The database.
pub async fn compare(
    pool: &PgPool,
    projection: &dyn Projection,
    generation: i32,
    others: &Others,
    stop: &CancellationToken,
) -> Result<Compared, sqlx::Error> {
    // Its own connection: what it has locked and set ends with it, whatever happens.
    let mut connection = pool.acquire().await?.detach();
    let ours: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("rebuild/{}/compare", projection.name()))
        .fetch_one(&mut connection)
        .await?;
    let mut pair = Pair { projection, generation, connection };
    let compared = if ours { pair.compare(others, stop).await } else { Ok(Compared::Later) };
    drop(pair.connection.close().await);
    compared
}

/// A build and the live generation.
struct Pair<'a> {
    projection: &'a dyn Projection,
    generation: i32,
    connection: PgConnection,
}

impl Pair<'_> {
    async fn compare(&mut self, others: &Others, stop: &CancellationToken) -> Result<Compared, sqlx::Error> {
        let building = table(self.projection.name(), self.generation, Role::Building);
        for statement in [
            // The planner must know the new table before anybody reads it.
            &format!("analyze {building}"),
            // A plan made for any range would not know that the range is short, and walk the account's whole table.
            "set plan_cache_mode = force_custom_plan",
            // One core is enough of the others'.
            "set max_parallel_workers_per_gather = 0",
        ] {
            sqlx::query(statement).execute(&mut self.connection).await?;
        }
        let mut walk = Walk::new([self.projection.name(), &building]);
        let mut more = true;
        while more {
            if stop.is_cancelled() {
                return Ok(Compared::Later);
            }
            let (beside, began) = (others.are_writing().await?, Instant::now());
            match self.look(&mut walk, beside).await? {
                Looked::Compared(any) => {
                    more = any;
                    if beside && more {
                        rest(began.elapsed() * RESTS, stop).await;
                    }
                }
                Looked::Nearer => self.catch_up(stop).await?,
                Looked::Stopped => return Ok(Compared::Later),
                Looked::Halted(error) => {
                    walk.differences.skipped = Some(format!("the live generation is halted: {error}"));
                    more = false;
                }
            }
        }
        Ok(Compared::Found(walk.differences))
    }

    /// Brings the build on by itself, so that the live one is free, and without a rest: resting, it would never reach who
    /// writes much.
    async fn catch_up(&mut self, stop: &CancellationToken) -> Result<(), sqlx::Error> {
        let (which, batch) = (Which::Numbered(self.generation), self.projection.batch());
        let full = |turn| matches!(turn, Turn::Advanced { events, .. } if events as i64 >= batch);
        while full(self.projection.turn_of(&mut self.connection, which, batch).await?) && !stop.is_cancelled() {}
        Ok(())
    }

    /// Goes on comparing while both are held at one cursor.
    async fn look(&mut self, walk: &mut Walk<'_>, beside: bool) -> Result<Looked, sqlx::Error> {
        let mut held = self.connection.begin_with(UNHURRIED).await?;
        let looked = match align(&mut held, self.projection, self.generation).await? {
            ControlFlow::Continue(live) => {
                let more = walk.go_on(&mut held, if beside { RANGE_BESIDE } else { RANGE }).await?;
                if !beside {
                    // Without rests between the looks, the live one would hardly come to its own turns.
                    self.projection.advance(&mut held, &live, None, self.projection.batch()).await?;
                }
                Looked::Compared(more)
            }
            ControlFlow::Break(otherwise) => otherwise,
        };
        held.commit().await?;
        Ok(looked)
    }
}

/// Holds both, and brings the one that is behind to the other's cursor: the build begins at a barrier that is past every
/// event, and the live one goes on while ranges are not compared. The live one, or what is in the way.
async fn align(
    connection: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
) -> Result<ControlFlow<Looked, Held>, sqlx::Error> {
    let name = projection.name();
    // Whoever locks several takes the live one first.
    let live = generations::wait_for(connection, name, Which::Live).await?;
    let build = generations::wait_for(connection, name, Which::Numbered(generation)).await?;
    let (Some(live), Some(build)) = (live, build) else { return Ok(ControlFlow::Break(Looked::Stopped)) };
    let row = sqlx::query(
        "select (select coalesce(error, '') from projections where name = $1 and role = 'live' and status = 'halted') as halted,
                exists (select from projections where name = $1 and generation = $2 and phase = 'comparing'
                                                  and status = 'running') as goes_on",
    )
    .bind(name)
    .bind(generation)
    .fetch_one(&mut *connection)
    .await?;
    if !row.try_get::<bool, _>("goes_on")? {
        return Ok(ControlFlow::Break(Looked::Stopped));
    }
    if let Some(error) = row.try_get("halted")? {
        return Ok(ControlFlow::Break(Looked::Halted(error)));
    }
    let (behind, ahead) = if live.position < build.position { (&live, &build) } else { (&build, &live) };
    let until = ahead.position;
    let turn = projection.advance(connection, behind, Some(until), projection.batch()).await?;
    Ok(match turn {
        Turn::Advanced { position, .. } if position == until => ControlFlow::Continue(Held { position: until, ..live }),
        _ => ControlFlow::Break(Looked::Nearer),
    })
}

/// The way through both tables, account by account and key by key: what is compared, and what came of it.
struct Walk<'a> {
    /// The live table and the new one.
    tables: [&'a str; 2],
    /// The last account that was begun.
    account: Option<Uuid>,
    /// Of that account, when it is not done.
    left: Option<Left>,
    differences: Differences,
}

/// What is left of an account.
struct Left {
    after: String,
    /// Its last key when it was begun: what is made meanwhile is not run after.
    last: String,
}

impl<'a> Walk<'a> {
    fn new(tables: [&'a str; 2]) -> Self {
        Self { tables, account: None, left: None, differences: Differences::default() }
    }

    /// Compares the next range, and those of the next accounts when they are short; false when there is no more.
    async fn go_on(&mut self, reader: &mut PgConnection, keys: i64) -> Result<bool, sqlx::Error> {
        for _ in 0..ACCOUNTS {
            let (account, left) = match (self.account, self.left.take()) {
                (Some(account), Some(left)) => (account, left),
                _ => match self.next_account(&mut *reader).await? {
                    Some(next) => next,
                    None => return Ok(false),
                },
            };
            self.account = Some(account);
            self.left = self.compare(&mut *reader, account, left, keys).await?;
            if self.left.is_some() {
                break;
            }
        }
        Ok(true)
    }

    /// The next account that either table has documents of.
    async fn next_account(&self, reader: &mut PgConnection) -> Result<Option<(Uuid, Left)>, sqlx::Error> {
        let [live, building] = self.tables;
        let next = |table| {
            format!(
                "(select tenant_id from {table} where $1::uuid is null or tenant_id > $1 order by tenant_id limit 1)"
            )
        };
        let last = |table| format!("(select key from {table} where tenant_id = a.next order by key desc limit 1)");
        let statement = format!(
            "select a.next, greatest({}, {}) as last from (select least({}, {}) as next) as a where a.next is not null",
            last(live),
            last(building),
            next(live),
            next(building),
        );
        let row = sqlx::query(&statement).bind(self.account).fetch_optional(reader).await?;
        row.map(|row| Ok((row.try_get("next")?, Left { after: String::new(), last: row.try_get("last")? }))).transpose()
    }

    /// Compares a range of an account; what is left of it then. By account and key, each on its own: bounds of both at
    /// once, as rows, would be looked for from the account's first key on.
    async fn compare(
        &mut self,
        reader: &mut PgConnection,
        account: Uuid,
        Left { after, last }: Left,
        keys: i64,
    ) -> Result<Option<Left>, sqlx::Error> {
        let [live, building] = self.tables;
        let end = |table| {
            format!("(select key from {table} where tenant_id = $1 and key > $2 order by key offset $4 - 1 limit 1)")
        };
        let statement = format!("select least({}, {}, $3)", end(live), end(building));
        let query = sqlx::query_scalar(&statement).bind(account).bind(&after).bind(&last).bind(keys);
        let end: String = query.fetch_one(&mut *reader).await?;
        let within = "tenant_id = $1 and key > $2 and key <= $3";
        let statement = format!(
            "select coalesce(l.key, b.key) as key,
                    case when b.key is null then 'missing' when l.key is null then 'extra' else 'changed' end as kind
               from (select key, body from {live} where {within}) l
               full join (select key, body from {building} where {within}) b using (key)
              where l.body is distinct from b.body order by 1"
        );
        let query = sqlx::query(&statement).bind(account).bind(&after).bind(&end);
        for row in &query.fetch_all(reader).await? {
            let (key, kind) = (row.try_get("key")?, row.try_get("kind")?);
            note(&mut self.differences, Difference { account_id: account, key, kind });
        }
        Ok((end != last).then_some(Left { after: end, last }))
    }
}

fn note(differences: &mut Differences, difference: Difference) {
    match difference.kind.as_str() {
        "missing" => differences.missing += 1,
        "extra" => differences.extra += 1,
        _ => differences.changed += 1,
    }
    if differences.sample.len() < SAMPLE {
        differences.sample.push(difference);
    }
}
