//! The new generation against the live one, key by key at the same cursor.

use std::time::Instant;

use application::projections::{Difference, Differences};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::event_store::generations::{self, Role, Which, table};
use crate::event_store::projector::{Projection, Turn};
use crate::event_store::rebuild::reader::{PAUSES, busy};

/// Keys that are named.
const SAMPLE: usize = 20;
/// Keys that are compared at a time.
const RANGE: i64 = 500;
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
            Aligned::Yes => return Ok(Compared::Found(read(pool, reader, projection.name(), &building).await?)),
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
        // A plan made for any range would not know that the range is short, and walk the account's whole table.
        "set local plan_cache_mode = force_custom_plan",
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

/// Reads both tables in the snapshot, as long as it takes: a snapshot alone holds up no reader of the log. Range after
/// range, with pauses beside others, so that nobody waits for a core or a disk that is busy with all of it.
async fn read(
    pool: &PgPool,
    reader: &mut PgConnection,
    live: &str,
    building: &str,
) -> Result<Differences, sqlx::Error> {
    let mut differences = Differences::default();
    let (mut after, mut more) = (Place::first(), true);
    while more {
        let began = Instant::now();
        let end = range_end(reader, building, &after).await?;
        more = end.is_some();
        let to = end.unwrap_or_else(Place::last);
        take_range(reader, [live, building], [&after, &to], &mut differences).await?;
        after = to;
        if more && busy(pool).await? {
            tokio::time::sleep(began.elapsed() * PAUSES).await;
        }
    }
    sqlx::query("commit").execute(reader).await?;
    Ok(differences)
}

/// A key of both tables.
struct Place {
    tenant: Uuid,
    key: String,
}

impl Place {
    /// Before every key.
    fn first() -> Self {
        Self { tenant: Uuid::nil(), key: String::new() }
    }

    /// After every key.
    fn last() -> Self {
        Self { tenant: Uuid::max(), key: String::new() }
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { tenant: row.try_get("tenant_id")?, key: row.try_get("key")? })
    }
}

/// The last key of the next range of the new table; `None` when what is left is no more than one.
async fn range_end(reader: &mut PgConnection, building: &str, after: &Place) -> Result<Option<Place>, sqlx::Error> {
    let statement = format!(
        "select tenant_id, key from {building} where (tenant_id, key) > ($1, $2)
          order by tenant_id, key offset $3 limit 1"
    );
    let row = sqlx::query(&statement).bind(after.tenant).bind(&after.key).bind(RANGE).fetch_optional(reader).await?;
    row.as_ref().map(Place::read).transpose()
}

async fn take_range(
    reader: &mut PgConnection,
    [live, building]: [&str; 2],
    [after, to]: [&Place; 2],
    differences: &mut Differences,
) -> Result<(), sqlx::Error> {
    let within = "(tenant_id, key) > ($1, $2) and (tenant_id, key) <= ($3, $4)";
    let statement = format!(
        "select coalesce(l.tenant_id, b.tenant_id) as account_id, coalesce(l.key, b.key) as key,
                case when b.key is null then 'missing' when l.key is null then 'extra' else 'changed' end as kind
           from (select tenant_id, key, body from {live} where {within}) l
           full join (select tenant_id, key, body from {building} where {within}) b
             on l.tenant_id = b.tenant_id and l.key = b.key
          where l.body is distinct from b.body order by 1, 2"
    );
    let query = sqlx::query(&statement).bind(after.tenant).bind(&after.key).bind(to.tenant).bind(&to.key);
    for row in &query.fetch_all(reader).await? {
        let kind: String = row.try_get("kind")?;
        match kind.as_str() {
            "missing" => differences.missing += 1,
            "extra" => differences.extra += 1,
            _ => differences.changed += 1,
        }
        if differences.sample.len() < SAMPLE {
            let (account_id, key) = (row.try_get("account_id")?, row.try_get("key")?);
            differences.sample.push(Difference { account_id, key, kind });
        }
    }
    Ok(())
}
