//! Slices of a build: streams read in the order of the primary key, folded whole in memory, inserted once. A page and
//! the slice's cursor go in by one short transaction, so a process may die anywhere.

use std::collections::HashMap;

use application::log::{Document, Position};
use cqrs_es::Aggregate;
use sqlx::{Connection, PgConnection, Row};

use crate::event_store::documents::{self, Columns, Documents};
use crate::event_store::generations::{Role, SMOOTHED, position, table};
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{Range, RawEvent, read_range};
use crate::event_store::projector::UNHURRIED;

/// Events of a page.
pub const PAGE: i64 = 10_000;
/// Events of a page while others write: it must not keep a core for long.
pub const PAGE_BESIDE: i64 = 25;

/// A slice of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The projection.
    pub name: String,
    /// The generation that is built.
    pub generation: i32,
    /// The slice's number, from 0.
    pub slice: i32,
}

/// What one page of a slice came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// It is in, with this many events.
    Done(i64),
    /// Somebody else reads the slice, or it is done, paused or gone.
    NotOurs,
    /// An event could not be read, and the build was halted.
    Halted,
}

/// Where a slice stands.
struct Place {
    from: Option<String>,
    to: Option<String>,
    cursor: Option<String>,
    revision: i64,
    barrier: Position,
}

/// What a page is made of.
struct Folded<D> {
    documents: Documents<D>,
    events: i64,
    /// The last stream that is whole.
    cursor: Option<String>,
    /// There is nothing more.
    end: bool,
}

/// Reads, folds and stores the next page. Until the page is stored the transaction only reads: it has no id, and
/// holds up no reader of the log.
///
/// # Errors
/// The database; nothing of the page remains.
pub async fn page<D: Document>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    slice: &Slice,
    limit: i64,
) -> Result<Page, sqlx::Error> {
    // A page and its cursor are lost together or not at all: nobody need wait for the disk, writers least of all.
    let mut transaction = connection.begin_with(UNHURRIED).await?;
    let Some(place) = claim(&mut transaction, slice).await? else {
        transaction.rollback().await?;
        return Ok(Page::NotOurs);
    };
    let folded = match fold::<D>(&mut transaction, keys, &place, limit).await? {
        Ok(folded) => folded,
        Err(error) => {
            halt(&mut transaction, slice, &error).await?;
            transaction.commit().await?;
            tracing::error!(projection = slice.name, generation = slice.generation, error, "A rebuild halted");
            return Ok(Page::Halted);
        }
    };
    let events = folded.events;
    if !store(&mut transaction, slice, &place, folded).await? {
        transaction.rollback().await?;
        return Ok(Page::NotOurs);
    }
    transaction.commit().await?;
    Ok(Page::Done(events))
}

/// Puts a page there, if nothing it rests on has changed: that is the fence.
async fn store<D: Document>(
    connection: &mut PgConnection,
    slice: &Slice,
    place: &Place,
    page: Folded<D>,
) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "with moved as (
            update rebuild_slices set cursor_stream = coalesce($5, cursor_stream), events_done = events_done + $6, done = $7,
                   revision = nextval('rebuild_revision'), rate = {}, updated_at = clock_timestamp()
             where name = $1 and generation = $2 and slice = $3 and revision = $4 returning slice
        ), stored as (
            insert into {} (tenant_id, key, body)
            select d.tenant_id, d.key, d.body::jsonb
              from unnest($8::uuid[], $9::text[], $10::text[]) as d(tenant_id, key, body)
             where exists (select from moved)
        )
        select exists (select from moved)",
        SMOOTHED.replace("$EVENTS", "$6"),
        table(&slice.name, slice.generation, Role::Building),
    );
    let Columns { tenants, keys, bodies } = Columns::of(page.documents)?;
    sqlx::query_scalar(&statement)
        .bind(&slice.name)
        .bind(slice.generation)
        .bind(slice.slice)
        .bind(place.revision)
        .bind(page.cursor)
        .bind(page.events)
        .bind(page.end)
        .bind(tenants)
        .bind(keys)
        .bind(bodies)
        .fetch_one(connection)
        .await
}

/// Takes the slice, when nobody reads it. The advisory lock only spares others the work.
async fn claim(connection: &mut PgConnection, slice: &Slice) -> Result<Option<Place>, sqlx::Error> {
    let lock = format!("rebuild/{}/{}/{}", slice.name, slice.generation, slice.slice);
    let row = sqlx::query(
        "with ours as materialized (select pg_try_advisory_xact_lock(hashtextextended($4, 0)) as ours)
         select s.from_stream, s.to_stream, s.cursor_stream, s.revision,
                p.log_epoch, p.transaction_id::text as transaction_text, p.position
           from rebuild_slices s join projections p using (name, generation) cross join ours
          where name = $1 and generation = $2 and s.slice = $3 and not s.done and ours.ours
            and p.role = 'building' and p.phase = 'slices' and p.status = 'running'",
    )
    .bind(&slice.name)
    .bind(slice.generation)
    .bind(slice.slice)
    .bind(lock)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Place {
            from: row.try_get("from_stream")?,
            to: row.try_get("to_stream")?,
            cursor: row.try_get("cursor_stream")?,
            revision: row.try_get("revision")?,
            barrier: position(&row)?,
        })
    })
    .transpose()
}

/// Folds streams that are whole. One longer than a page goes on over pages, in memory.
async fn fold<D: Document>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    place: &Place,
    limit: i64,
) -> Result<Result<Folded<D>, String>, sqlx::Error> {
    let mut folded = Folded { documents: HashMap::new(), events: 0, cursor: None, end: false };
    let mut range = Range {
        aggregate_type: D::Aggregate::TYPE,
        after: place.cursor.clone().map(|stream| (stream, i64::MAX)),
        from: place.from.as_deref(),
        to: place.to.as_deref(),
        below: place.barrier,
        types: D::READS,
    };
    loop {
        let mut events = read_range(connection, &range, limit).await?;
        keys.open(connection, &mut events).await.map_err(KeyError::into_database)?;
        folded.end = (events.len() as i64) < limit;
        let whole = if folded.end { events.len() } else { before_last_stream(&events) };
        let carried = folded.events > 0;
        let goes_on = events.first().is_some_and(|event| folded.cursor.as_ref() == Some(&event.stream));
        let take = match whole {
            // The stream that was carried ended with the page before.
            0 if carried && !goes_on => return Ok(Ok(folded)),
            // One stream fills the page.
            0 if !folded.end => events.len(),
            whole => whole,
        };
        for event in &events[..take] {
            match documents::needed::<D>(event) {
                Ok(needed) => needed.into_iter().for_each(|event| documents::apply(&mut folded.documents, event)),
                Err(error) => return Ok(Err(error)),
            }
        }
        folded.events += take as i64;
        let Some(last) = events[..take].last() else { return Ok(Ok(folded)) };
        folded.cursor = Some(last.stream.clone());
        if whole > 0 || folded.end {
            return Ok(Ok(folded));
        }
        range.after = Some((last.stream.clone(), last.sequence));
    }
}

/// How many events are before the last stream of a page, which may not be whole.
fn before_last_stream(events: &[RawEvent]) -> usize {
    let last = events.last().map(|event| event.stream.as_str());
    events.iter().rposition(|event| Some(event.stream.as_str()) != last).map_or(0, |place| place + 1)
}

async fn halt(connection: &mut PgConnection, slice: &Slice, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update projections set status = 'halted', error = $3, updated_at = clock_timestamp()
          where name = $1 and generation = $2 and role = 'building' and status = 'running'",
    )
    .bind(&slice.name)
    .bind(slice.generation)
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}
