//! The new generation against the live one, key by key at the same cursor.

use std::time::Instant;

use application::projections::{Difference, Differences};
use sqlx::{Connection, PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::event_store::generations::{self, Role, Which, table};
use crate::event_store::projector::{Projection, Turn};
use crate::event_store::rebuild::reader::{PAUSES, busy};

/// Keys that are named.
const SAMPLE: usize = 20;
/// Keys that are compared at a time.
const RANGE: i64 = 500;
/// And beside others.
const RANGE_BESIDE: i64 = 100;
/// Times the two are brought to one cursor.
const TRIES: usize = 20;

/// Events of a turn that is not yet near the head.
const NEAR: usize = 25;

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
        for _ in 0..TRIES {
            let turn = projection.turn_of(pool, Which::Numbered(generation)).await?;
            if !matches!(turn, Turn::Advanced { events: NEAR.., .. }) {
                break;
            }
        }
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
    let (mut differences, mut tenant) = (Differences::default(), None);
    while let Some(next) = next_tenant(reader, [live, building], tenant).await? {
        tenant = Some(next);
        let mut after = Some(String::new());
        while let Some(key) = after {
            let (busy, began) = (busy(pool).await?, Instant::now());
            let range = Range { tenant: next, after: key, keys: if busy { RANGE_BESIDE } else { RANGE } };
            after = range.take(reader, live, building, &mut differences).await?;
            if busy {
                tokio::time::sleep(began.elapsed() * PAUSES).await;
            }
        }
    }
    sqlx::query("commit").execute(reader).await?;
    Ok(differences)
}

/// The next account that either table has documents of.
async fn next_tenant(
    reader: &mut PgConnection,
    tables: [&str; 2],
    after: Option<Uuid>,
) -> Result<Option<Uuid>, sqlx::Error> {
    let [a, b] = tables.map(|table| {
        format!("(select tenant_id from {table} where $1::uuid is null or tenant_id > $1 order by tenant_id limit 1)")
    });
    let statement = format!("{a} union all {b} order by tenant_id limit 1");
    sqlx::query_scalar(&statement).bind(after).fetch_optional(reader).await
}

/// Keys of one account that follow each other. By account and key, each on its own: bounds of both at once, as rows,
/// would be looked for from the account's first key on.
struct Range {
    tenant: Uuid,
    after: String,
    keys: i64,
}

impl Range {
    /// Compares the range; where the next one begins, unless the new table has no more.
    async fn take(
        &self,
        reader: &mut PgConnection,
        live: &str,
        building: &str,
        differences: &mut Differences,
    ) -> Result<Option<String>, sqlx::Error> {
        let end =
            format!("select key from {building} where tenant_id = $1 and key > $2 order by key offset $3 limit 1");
        let end: Option<String> = sqlx::query_scalar(&end)
            .bind(self.tenant)
            .bind(&self.after)
            .bind(self.keys)
            .fetch_optional(&mut *reader)
            .await?;
        let within = "tenant_id = $1 and key > $2 and ($3::text is null or key <= $3)";
        let statement = format!(
            "select coalesce(l.key, b.key) as key,
                    case when b.key is null then 'missing' when l.key is null then 'extra' else 'changed' end as kind
               from (select key, body from {live} where {within}) l
               full join (select key, body from {building} where {within}) b using (key)
              where l.body is distinct from b.body order by 1"
        );
        let query = sqlx::query(&statement).bind(self.tenant).bind(&self.after).bind(&end);
        for row in &query.fetch_all(reader).await? {
            let (key, kind) = (row.try_get("key")?, row.try_get("kind")?);
            note(differences, Difference { account_id: self.tenant, key, kind });
        }
        Ok(end)
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
