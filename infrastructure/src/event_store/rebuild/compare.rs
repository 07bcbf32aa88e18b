//! The new generation against the live one, key by key at the same cursor.

use application::projections::{Difference, Differences};
use sqlx::{Connection, PgConnection, PgPool, Row};

use crate::event_store::generations::{self, Role, Which, table};
use crate::event_store::projector::{Projection, Turn};

/// Keys that are named.
const SAMPLE: i64 = 20;
/// Times the two are brought to one cursor.
const TRIES: usize = 20;

/// Events of a turn that is not yet near the head.
const NEAR: usize = 100;

/// What came of it.
pub enum Compared {
    /// They were compared, or there was nothing to compare with.
    Found(Differences),
    /// Not now: somebody else compares them, or one of them moves too fast.
    Later,
}

/// Compares.
///
/// # Errors
/// The database.
pub async fn compare(pool: &PgPool, projection: &dyn Projection, generation: i32) -> Result<Compared, sqlx::Error> {
    // Its own connection: what it has locked ends with it, whatever happens.
    let mut reader = pool.acquire().await?.detach();
    let ours: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("rebuild/{}/compare", projection.name()))
        .fetch_one(&mut reader)
        .await?;
    let compared = if ours { compare_on(pool, &mut reader, projection, generation).await } else { Ok(Compared::Later) };
    drop(reader.close().await);
    compared
}

async fn compare_on(
    pool: &PgPool,
    reader: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
) -> Result<Compared, sqlx::Error> {
    let building = table(projection.name(), generation, Role::Building);
    // The planner must know the new table before anybody reads it.
    sqlx::query(&format!("analyze {building}")).execute(&mut *reader).await?;
    for _ in 0..TRIES {
        // Both near the head, so that what is left is short.
        while matches!(
            projection.turn_of(pool, Which::Numbered(generation)).await?,
            Turn::Advanced { events: NEAR.., .. }
        ) {}
        while pull_live(pool, projection, generation).await? {}
        match snapshot(pool, reader, projection, generation).await? {
            Aligned::Yes => return Ok(Compared::Found(read(reader, projection.name(), &building).await?)),
            Aligned::Halted(error) => {
                let skipped = Some(format!("the live generation is halted: {error}"));
                return Ok(Compared::Found(Differences { skipped, ..Differences::default() }));
            }
            Aligned::No => {}
        }
    }
    Ok(Compared::Later)
}

/// Brings the live generation at least where the build stands: nobody else may run it, and the build begins at a
/// barrier that is past every event. True when it is not there yet.
async fn pull_live(pool: &PgPool, projection: &dyn Projection, generation: i32) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let name = projection.name();
    let Some(live) = generations::lock(&mut transaction, name, Which::Live).await? else { return Ok(false) };
    let build = generations::lock(&mut transaction, name, Which::Numbered(generation)).await?;
    let Some(build) = build.filter(|build| live.position < build.position) else { return Ok(false) };
    let turn = projection.advance(&mut transaction, &live, Some(build.position)).await?;
    transaction.commit().await?;
    Ok(matches!(turn, Turn::Advanced { position, .. } if position < build.position))
}

enum Aligned {
    Yes,
    No,
    Halted(String),
}

/// Gives `reader` a snapshot in which both stand at the same cursor: the live one is held while the other is brought
/// there and the snapshot is taken, which is a few milliseconds.
async fn snapshot(
    pool: &PgPool,
    reader: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
) -> Result<Aligned, sqlx::Error> {
    let mut hold = pool.begin().await?;
    let Some(live) = generations::wait_for(&mut hold, projection.name(), Which::Live).await? else {
        return Ok(Aligned::No);
    };
    let halted: Option<String> = sqlx::query_scalar(
        "select coalesce(error, '') from projections where name = $1 and role = 'live' and status = 'halted'",
    )
    .bind(projection.name())
    .fetch_optional(&mut *hold)
    .await?;
    if let Some(error) = halted {
        return Ok(Aligned::Halted(error));
    }
    let mut align = reader.begin().await?;
    let building = generations::lock(&mut align, projection.name(), Which::Numbered(generation)).await?;
    let Some(building) = building.filter(|building| building.position <= live.position) else {
        return Ok(Aligned::No);
    };
    let turn = projection.advance(&mut align, &building, Some(live.position)).await?;
    align.commit().await?;
    if !matches!(turn, Turn::Advanced { position, .. } if position == live.position) {
        return Ok(Aligned::No);
    }
    for statement in [
        "begin isolation level repeatable read, read only",
        "set local statement_timeout = 0",
        // One core is enough of the others'.
        "set local max_parallel_workers_per_gather = 0",
    ] {
        sqlx::query(statement).execute(&mut *reader).await?;
    }
    let same: bool = sqlx::query_scalar(
        "select count(distinct (log_epoch, transaction_id, position)) = 1 and count(*) = 2
           from projections where name = $1 and (role = 'live' or generation = $2)",
    )
    .bind(projection.name())
    .bind(generation)
    .fetch_one(&mut *reader)
    .await?;
    hold.rollback().await?;
    if !same {
        sqlx::query("rollback").execute(reader).await?;
        return Ok(Aligned::No);
    }
    Ok(Aligned::Yes)
}

/// Reads both tables in the snapshot, as long as it takes: a snapshot alone holds up no reader of the log.
async fn read(reader: &mut PgConnection, live: &str, building: &str) -> Result<Differences, sqlx::Error> {
    let statement = format!(
        "with found as materialized (
            select coalesce(l.tenant_id, b.tenant_id) as account_id, coalesce(l.key, b.key) as key,
                   case when b.key is null then 'missing' when l.key is null then 'extra' else 'changed' end as kind
              from {live} l full join {building} b on l.tenant_id = b.tenant_id and l.key = b.key
             where l.body is distinct from b.body)
         select (select count(*) from found where kind = 'missing') as missing,
                (select count(*) from found where kind = 'extra') as extra,
                (select count(*) from found where kind = 'changed') as changed, sample.*
           from (select null) one left join (select * from found order by account_id, key limit $1) sample on true"
    );
    let rows = sqlx::query(&statement).bind(SAMPLE).fetch_all(&mut *reader).await?;
    sqlx::query("commit").execute(reader).await?;
    let mut differences = Differences::default();
    for row in &rows {
        differences.missing = row.try_get("missing")?;
        differences.extra = row.try_get("extra")?;
        differences.changed = row.try_get("changed")?;
        if let Some(kind) = row.try_get("kind")? {
            let (account_id, key) = (row.try_get("account_id")?, row.try_get("key")?);
            differences.sample.push(Difference { account_id, key, kind });
        }
    }
    Ok(differences)
}
