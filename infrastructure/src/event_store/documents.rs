//! Documents folded in memory, and the table they go to.

use std::collections::HashMap;

use application::log::{Document, Recorded, fold_into};
use cqrs_es::Aggregate;
use domain::shared::nulls::without_nulls;
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::event_store::log_reader::RawEvent;

/// A document's account and key.
pub type Key = (Uuid, String);

/// An event a model takes in, and the document it belongs to.
pub type Keyed<D> = (Key, Recorded<<<D as Document>::Aggregate as Aggregate>::Event>);

/// Documents by key; none where there is none any more.
pub type Documents<D> = HashMap<Key, Option<D>>;

/// The event as a model needs it; none when it does not.
///
/// # Errors
/// The model needs it and this build cannot read it.
pub fn needed<D: Document>(event: &RawEvent) -> Result<Option<Keyed<D>>, String> {
    let listed = D::READS.is_empty() || D::READS.contains(&event.event_type.as_str());
    if event.aggregate_type != D::Aggregate::TYPE || !listed {
        return Ok(None);
    }
    let recorded = event.decode::<<D::Aggregate as Aggregate>::Event>();
    let recorded = recorded.map_err(|error| format!("event {} ({}): {error}", event.sequence, event.stream))?;
    Ok(D::key(&recorded).map(|key| ((recorded.stream.tenant.0, key), recorded)))
}

/// Takes an event in.
pub fn apply<D: Document>(documents: &mut Documents<D>, (key, event): Keyed<D>) {
    fold_into(documents.entry(key).or_default(), &event);
}

/// The documents the table has under these keys. A lateral look at each uses the key in every plan: a join, planned
/// while the table was small and kept, would read all of it ever after.
///
/// # Errors
/// The database.
pub async fn known<'a, D: Document>(
    connection: &mut PgConnection,
    table: &str,
    keys: impl Iterator<Item = &'a Key>,
) -> Result<Documents<D>, sqlx::Error> {
    let mut wanted: Vec<&Key> = keys.collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (tenants, keys): (Vec<Uuid>, Vec<String>) = wanted.into_iter().cloned().unzip();
    let statement = format!(
        "select w.tenant_id, w.key, v.body from unnest($1::uuid[], $2::text[]) as w(tenant_id, key)
          cross join lateral (
              select body from {table} v where v.tenant_id = w.tenant_id and v.key = w.key limit 1) as v"
    );
    let rows = sqlx::query(&statement).bind(tenants).bind(keys).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let body: Json<D> = row.try_get("body")?;
            Ok(((row.try_get("tenant_id")?, row.try_get("key")?), Some(body.0)))
        })
        .collect()
}

/// Puts the documents there, in place of what was.
///
/// # Errors
/// The database.
pub async fn store<D: Document>(
    connection: &mut PgConnection,
    table: &str,
    documents: Documents<D>,
) -> Result<(), sqlx::Error> {
    let gone = documents.iter().filter(|(_, document)| document.is_none()).map(|(key, _)| key.clone());
    let (tenants, keys): (Vec<Uuid>, Vec<String>) = gone.unzip();
    let there = Columns::of(documents)?;
    if !there.keys.is_empty() {
        let statement = format!(
            "insert into {table} (tenant_id, key, body)
             select d.tenant_id, d.key, d.body::jsonb
               from unnest($1::uuid[], $2::text[], $3::text[]) as d(tenant_id, key, body)
             on conflict (tenant_id, key) do update set body = excluded.body"
        );
        let query = sqlx::query(&statement).bind(there.tenants).bind(there.keys).bind(there.bodies);
        query.execute(&mut *connection).await?;
    }
    if !keys.is_empty() {
        let statement = format!(
            "delete from {table} v using unnest($1::uuid[], $2::text[]) as g(tenant_id, key)
              where v.tenant_id = g.tenant_id and v.key = g.key"
        );
        sqlx::query(&statement).bind(tenants).bind(keys).execute(connection).await?;
    }
    Ok(())
}

/// Documents as rows, in the order of their keys: column by column.
#[derive(Default)]
pub struct Columns {
    /// Their accounts.
    pub tenants: Vec<Uuid>,
    /// Their keys.
    pub keys: Vec<String>,
    /// Their JSON.
    pub bodies: Vec<String>,
}

impl Columns {
    /// Of those that are there.
    ///
    /// # Errors
    /// One has no JSON.
    pub fn of<D: Document>(documents: Documents<D>) -> Result<Self, sqlx::Error> {
        let kept = documents.into_iter().filter_map(|(key, document)| Some((key, document?)));
        let mut kept: Vec<(Key, D)> = kept.collect();
        kept.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut columns = Self::default();
        for ((tenant, key), document) in kept {
            columns.tenants.push(tenant);
            columns.keys.push(key);
            columns.bodies.push(body(&document).map_err(|error| sqlx::Error::Encode(error.into()))?);
        }
        Ok(columns)
    }
}

/// A document's JSON. One null character would halt the projection for everybody.
fn body(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(document)?;
    if text.contains("\\u0000") { Ok(without_nulls(serde_json::from_str(&text)?).to_string()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_characters_are_replaced_and_what_only_looks_like_one_is_not() {
        let document = json!({ "null": "a\0b", "looks": "\\u0000", "n": 1.5 });
        let read: serde_json::Value = serde_json::from_str(&body(&document).unwrap()).unwrap();
        assert_eq!(read, json!({ "null": "a\u{fffd}b", "looks": "\\u0000", "n": 1.5 }));
    }
}
