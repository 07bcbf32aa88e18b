//! Streams folded anew in place, in every generation there is.

use std::collections::HashMap;

use application::log::Document;
use cqrs_es::Aggregate;
use domain::shared::ids::StreamId;
use sqlx::{PgConnection, PgPool};

use crate::event_store::documents::{self, Documents};
use crate::event_store::generations::{self, Held, Which};
use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::read_stream;
use crate::event_store::rebuild::slices::PAGE;

/// Folds the streams from scratch up to each generation's checkpoint and puts their documents in place.
///
/// # Errors
/// The database, or an event that cannot be read; the generations before that one are done.
pub async fn refold<D: Document>(pool: &PgPool, keys: &KeyRing, streams: &[StreamId]) -> Result<(), sqlx::Error> {
    let mut streams: Vec<String> = streams.iter().map(ToString::to_string).collect();
    streams.sort_unstable();
    streams.dedup();
    // A generation that is made after this reads the events as they are by now.
    let generations: Vec<i32> =
        sqlx::query_scalar("select generation from projections where name = $1 order by generation")
            .bind(D::NAME)
            .fetch_all(pool)
            .await?;
    for generation in generations {
        let mut transaction = pool.begin().await?;
        let held = generations::wait_for(&mut transaction, D::NAME, Which::Numbered(generation)).await?;
        let Some(held) = held else { continue };
        for stream in in_there(&mut transaction, &held, &streams).await? {
            let folded = fold::<D>(&mut transaction, keys, &held, &stream).await?;
            documents::store(&mut transaction, &held.table(), folded).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// The streams that are in the generation by now. The slices of a build have the others before them; a page that
/// was read and is not yet stored is read again.
async fn in_there(connection: &mut PgConnection, held: &Held, streams: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query("update rebuild_slices set revision = nextval('rebuild_revision') where name = $1 and generation = $2")
        .bind(&held.name)
        .bind(held.generation)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(
        "select w.stream from unnest($3::text[]) as w(stream)
          where not exists (select from rebuild_slices s where s.name = $1 and s.generation = $2 and not s.done
                and (s.from_stream is null or s.from_stream <= w.stream) and (s.to_stream is null or w.stream < s.to_stream)
                and (s.cursor_stream is null or s.cursor_stream < w.stream))
          order by w.stream",
    )
    .bind(&held.name)
    .bind(held.generation)
    .bind(streams)
    .fetch_all(connection)
    .await
}

async fn fold<D: Document>(
    connection: &mut PgConnection,
    keys: &KeyRing,
    held: &Held,
    stream: &str,
) -> Result<Documents<D>, sqlx::Error> {
    let (mut documents, mut after) = (HashMap::new(), 0);
    loop {
        let mut events = read_stream(connection, D::Aggregate::TYPE, stream, after, PAGE).await?;
        keys.open(connection, &mut events).await.map_err(KeyError::into_database)?;
        let Some(last) = events.last() else { return Ok(documents) };
        after = last.sequence;
        for event in &events {
            if event.position > held.position {
                return Ok(documents);
            }
            let needed = documents::needed::<D>(event).map_err(|error| sqlx::Error::Decode(error.into()))?;
            needed.into_iter().for_each(|event| documents::apply(&mut documents, event));
        }
    }
}
