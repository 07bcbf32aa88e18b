//! The new generation against the live one, key by key: range after range, each while both stand at the same cursor.
//! What is held is held for one range alone, so the live one goes on, and no old snapshot keeps rows that are gone. How
//! far it has come stands in the build's row.

use std::ops::ControlFlow;

use application::projections::Differences;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection, PgPool, Row};

use crate::event_store::generations::{CHECKPOINT, Held, Role, held, table};
use crate::event_store::projector::{Projection, TURN, Turn};
use crate::event_store::rebuild::walk::Walk;

/// Keys of a range, at most.
const RANGE: i64 = 500;
/// And beside others.
const RANGE_BESIDE: i64 = 50;
/// Events that a build takes in at most to be looked at, beside others: more would keep the live one waiting.
const BEHIND_MAX: i64 = 250;
/// A plan made for any range does not know that the range is short, and would rather collect the account's whole table
/// than walk the index from key to key. And one core is enough of the others'.
const BY_THE_INDEX: &str = "set local enable_bitmapscan = off; set local max_parallel_workers_per_gather = 0";

/// What became of a look.
pub enum Looked {
    /// It compared a range, and there is more.
    Further,
    /// All of it was compared, or there is nothing to compare with.
    Found(Differences),
    /// Not yet: the two came nearer to each other, and the build is to go on by turns of its own; or one of them halted.
    Behind,
    /// The build was stopped, or is gone.
    Stopped,
}

/// Goes from catching up to comparing.
///
/// # Errors
/// The database.
pub async fn begin(pool: &PgPool, name: &str, generation: i32) -> Result<(), sqlx::Error> {
    // The planner must know the new table before anybody reads it.
    sqlx::query(&format!("analyze {}", table(name, generation, Role::Building))).execute(pool).await?;
    sqlx::query(
        "update projections set phase = 'comparing'
          where name = $1 and generation = $2 and phase = 'catching_up' and status = 'running'",
    )
    .bind(name)
    .bind(generation)
    .execute(pool)
    .await?;
    Ok(())
}

/// Compares the next range, from where whoever looked last came to.
///
/// # Errors
/// The database; nothing of the look remains.
pub async fn look(
    connection: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
    beside: bool,
) -> Result<Looked, sqlx::Error> {
    let (name, keys) = (projection.name(), if beside { RANGE_BESIDE } else { RANGE });
    let mut transaction = connection.begin_with(format!("{TURN}; {BY_THE_INDEX}")).await?;
    let looked = match align(&mut transaction, projection, generation, beside).await? {
        ControlFlow::Break(otherwise) => otherwise,
        ControlFlow::Continue((live, mut walk)) => {
            let building = table(name, generation, Role::Building);
            let more = walk.go_on(&mut transaction, [name, &building], keys).await?;
            sqlx::query("update projections set compared = $3 where name = $1 and generation = $2")
                .bind(name)
                .bind(generation)
                .bind(Json(&walk))
                .execute(&mut *transaction)
                .await?;
            if !beside {
                // Without rests between the looks, the live one would hardly come to its own turns.
                projection.advance(&mut transaction, &live, None, projection.batch()).await?;
            }
            if more { Looked::Further } else { Looked::Found(walk.differences) }
        }
    };
    transaction.commit().await?;
    Ok(looked)
}

/// Holds both, and brings the one that is behind to the other's cursor: the build begins at a barrier that is past every
/// event, and the live one goes on while ranges are not compared. The live one and the way so far, or what is in the way.
async fn align(
    connection: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
    beside: bool,
) -> Result<ControlFlow<Looked, (Held, Walk)>, sqlx::Error> {
    let (live, build, walk) = match hold(connection, projection.name(), generation).await? {
        ControlFlow::Continue(both) => both,
        ControlFlow::Break(otherwise) => return Ok(ControlFlow::Break(otherwise)),
    };
    let most = projection.batch();
    let (behind, ahead, most) = if live.position < build.position {
        (&live, &build, most)
    } else {
        (&build, &live, if beside { most.min(BEHIND_MAX) } else { most })
    };
    let until = ahead.position;
    let turn = projection.advance(connection, behind, Some(until), most).await?;
    Ok(match turn {
        Turn::Advanced { position, .. } if position == until => {
            ControlFlow::Continue((Held { position: until, ..live }, walk))
        }
        _ => ControlFlow::Break(Looked::Behind),
    })
}

/// The live one, the build, and how far they have been compared, their rows held; or what is in the way.
async fn hold(
    connection: &mut PgConnection,
    name: &str,
    generation: i32,
) -> Result<ControlFlow<Looked, (Held, Held, Walk)>, sqlx::Error> {
    // Whoever locks several takes the live one first.
    let statement = format!(
        "select {CHECKPOINT}, status, phase, error, compared from projections
          where name = $1 and (role = 'live' or generation = $2) order by role <> 'live' for update"
    );
    let rows = sqlx::query(&statement).bind(name).bind(generation).fetch_all(connection).await?;
    let [live_row, row] = &rows[..] else { return Ok(ControlFlow::Break(Looked::Stopped)) };
    let (status, phase): (&str, Option<&str>) = (row.try_get("status")?, row.try_get("phase")?);
    if (status, phase) != ("running", Some("comparing")) {
        return Ok(ControlFlow::Break(Looked::Stopped));
    }
    let (live, build) = (held(live_row)?, held(row)?);
    // What was compared with another one, or noted in another shape, is compared anew.
    let walk = row.try_get::<Option<Json<Walk>>, _>("compared").ok().flatten().map(|walk| walk.0);
    let mut walk = walk.filter(|walk| walk.against == live.generation).unwrap_or_default();
    walk.against = live.generation;
    if live_row.try_get::<&str, _>("status")? == "halted" {
        let error: Option<&str> = live_row.try_get("error")?;
        walk.differences.skipped = Some(format!("the live generation is halted: {}", error.unwrap_or_default()));
        return Ok(ControlFlow::Break(Looked::Found(walk.differences)));
    }
    Ok(ControlFlow::Continue((live, build, walk)))
}
