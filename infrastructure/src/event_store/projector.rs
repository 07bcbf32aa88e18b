//! The runner of projections: lock the checkpoint, read, fold in memory, one upsert, move the checkpoint, commit.
//! Exactly once by construction; the row's lock is the fence.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use application::log::{Document, Position, fold_into};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::nulls::without_nulls;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{RawEvent, read_log};

/// Events a projection takes in at a time.
pub const BATCH_MAX: i64 = 1_000;

/// What one turn of a projection came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It took in this many events and stands here. Fewer than a batch: it is at the head.
    Advanced {
        /// Events read.
        events: usize,
        /// Its checkpoint.
        position: Position,
    },
    /// Somebody else runs it, or it is halted.
    NotOurs,
}

/// A projection, whatever it folds.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Its name: table and checkpoint.
    fn name(&self) -> &'static str;

    /// One turn.
    ///
    /// # Errors
    /// The database; nothing of the turn remains.
    async fn turn(&self, pool: &PgPool) -> Result<Turn, sqlx::Error>;
}

/// The projection of a [`Document`].
pub struct DocumentProjection<D> {
    keys: Arc<KeyRing>,
    batch: i64,
    document: PhantomData<fn() -> D>,
}

impl<D: Document> DocumentProjection<D> {
    /// With batches of up to [`BATCH_MAX`] events.
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self::with_batch(keys, BATCH_MAX)
    }

    /// With batches of another size; the result is the same.
    pub fn with_batch(keys: Arc<KeyRing>, batch: i64) -> Self {
        Self { keys, batch, document: PhantomData }
    }
}

/// A document under its account and key.
type Key = (Uuid, String);

#[async_trait]
impl<D: Document> Projection for DocumentProjection<D>
where
    <D::Aggregate as Aggregate>::Event: Send + Sync,
{
    fn name(&self) -> &'static str {
        D::NAME
    }

    async fn turn(&self, pool: &PgPool) -> Result<Turn, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        let Some(from) = lock(&mut transaction, D::NAME).await? else { return Ok(Turn::NotOurs) };
        let mut events = read_log(&mut transaction, from, self.batch, &[D::Aggregate::TYPE]).await?;
        self.keys.open(&mut transaction, &mut events).await.map_err(KeyError::into_database)?;
        let Some(last) = events.last() else {
            return Ok(Turn::Advanced { events: 0, position: from });
        };
        let folded = fold::<D>(&mut transaction, &events).await?;
        let position = folded.halted.as_ref().map_or(last.position, |halt| halt.reached.unwrap_or(from));
        store::<D>(&mut transaction, folded.documents).await?;
        move_checkpoint(&mut transaction, D::NAME, position, folded.events, folded.halted.as_ref()).await?;
        transaction.commit().await?;
        if let Some(Halt { error, .. }) = folded.halted {
            tracing::error!(projection = D::NAME, error, "A projection halted");
            return Ok(Turn::NotOurs);
        }
        Ok(Turn::Advanced { events: events.len(), position })
    }
}

/// The poison event that stopped a projection, and the last good one before it.
struct Halt {
    reached: Option<Position>,
    error: String,
}

struct Folded<D> {
    documents: HashMap<Key, Option<D>>,
    events: i64,
    halted: Option<Halt>,
}

/// Folds the events up to the first one that cannot be read.
async fn fold<D: Document>(connection: &mut PgConnection, events: &[RawEvent]) -> Result<Folded<D>, sqlx::Error> {
    let mut recorded = Vec::new();
    let (mut halted, mut reached, mut done) = (None, None, 0);
    for event in events {
        if event.aggregate_type == D::Aggregate::TYPE {
            match event.decode::<<D::Aggregate as Aggregate>::Event>() {
                Ok(event) => {
                    if let Some(key) = D::key(&event) {
                        recorded.push(((event.stream.tenant.0, key), event));
                    }
                }
                Err(error) => {
                    let error = format!("event {} ({}): {error}", event.sequence, event.stream);
                    halted = Some(Halt { reached, error });
                    break;
                }
            }
        }
        reached = Some(event.position);
        done += 1;
    }
    let mut documents: HashMap<Key, Option<D>> = known(connection, recorded.iter().map(|(key, _)| key)).await?;
    for (key, event) in recorded {
        fold_into(documents.entry(key).or_default(), &event);
    }
    Ok(Folded { documents, events: done, halted })
}

async fn known<'a, D: Document>(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = &'a Key>,
) -> Result<HashMap<Key, Option<D>>, sqlx::Error> {
    let mut wanted: Vec<&Key> = keys.collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (tenants, keys): (Vec<Uuid>, Vec<String>) = wanted.into_iter().cloned().unzip();
    let statement = format!(
        "select v.tenant_id, v.key, v.body from {} v
           join unnest($1::uuid[], $2::text[]) as w(tenant_id, key) on v.tenant_id = w.tenant_id and v.key = w.key",
        D::NAME
    );
    let rows = sqlx::query(&statement).bind(tenants).bind(keys).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let body: sqlx::types::Json<D> = row.try_get("body")?;
            Ok(((row.try_get("tenant_id")?, row.try_get("key")?), Some(body.0)))
        })
        .collect()
}

async fn store<D: Document>(
    connection: &mut PgConnection,
    documents: HashMap<Key, Option<D>>,
) -> Result<(), sqlx::Error> {
    let mut kept: (Vec<Uuid>, Vec<String>, Vec<Value>) = Default::default();
    let mut gone: (Vec<Uuid>, Vec<String>) = Default::default();
    let mut documents: Vec<_> = documents.into_iter().collect();
    documents.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for ((tenant, key), document) in documents {
        match document {
            Some(document) => {
                kept.0.push(tenant);
                kept.1.push(key);
                let body = serde_json::to_value(document).map_err(|error| sqlx::Error::Encode(error.into()))?;
                // One null character would halt the projection for everybody.
                kept.2.push(without_nulls(body));
            }
            None => {
                gone.0.push(tenant);
                gone.1.push(key);
            }
        }
    }
    if !kept.0.is_empty() {
        let statement = format!(
            "insert into {} (tenant_id, key, body) select * from unnest($1::uuid[], $2::text[], $3::jsonb[])
             on conflict (tenant_id, key) do update set body = excluded.body",
            D::NAME
        );
        sqlx::query(&statement).bind(kept.0).bind(kept.1).bind(kept.2).execute(&mut *connection).await?;
    }
    if !gone.0.is_empty() {
        let statement = format!(
            "delete from {} v using unnest($1::uuid[], $2::text[]) as g(tenant_id, key)
              where v.tenant_id = g.tenant_id and v.key = g.key",
            D::NAME
        );
        sqlx::query(&statement).bind(gone.0).bind(gone.1).execute(connection).await?;
    }
    Ok(())
}

/// Takes the checkpoint, when nobody has it and it is not halted.
async fn lock(connection: &mut PgConnection, name: &str) -> Result<Option<Position>, sqlx::Error> {
    let row = sqlx::query(
        "select log_epoch, transaction_id::text as transaction_text, position from projections
          where name = $1 and status = 'running' for update skip locked",
    )
    .bind(name)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let transaction: String = row.try_get("transaction_text")?;
        Ok(Position {
            epoch: row.try_get("log_epoch")?,
            transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            number: row.try_get("position")?,
        })
    })
    .transpose()
}

async fn move_checkpoint(
    connection: &mut PgConnection,
    name: &str,
    to: Position,
    events: i64,
    halted: Option<&Halt>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update projections set log_epoch = $2, transaction_id = $3::text::xid8, position = $4, events_done = events_done + $5,
                status = case when $6::text is null then 'running' else 'halted' end, error = $6, updated_at = now()
          where name = $1",
    )
    .bind(name)
    .bind(to.epoch)
    .bind(to.transaction.to_string())
    .bind(to.number)
    .bind(events)
    .bind(halted.map(|halt| halt.error.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}
