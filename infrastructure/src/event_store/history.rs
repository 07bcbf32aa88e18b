//! Histories out of the log: short reads by keyset, whatever the length.

use std::borrow::Cow;
use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::history::at::At;
use application::history::{Batch, HistoryEntry, HistoryFilter, HistoryReader, Place, Scope, Span};
use application::log::Position;
use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{PgPool, Postgres, QueryBuilder};

use crate::event_store::keys::{KeyError, KeyRing};
use crate::event_store::log_reader::{COLUMNS, FINISHED, RawEvent, position};
use crate::event_store::sealed::left_in;
use crate::postgres::app_error;

/// A read ends when it has as many bytes of events: the memory of a history of any length.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Histories in Postgres.
pub struct PgHistory {
    /// The database.
    pub pool: PgPool,
    /// The keys of contacts.
    pub keys: Arc<KeyRing>,
}

type Query = QueryBuilder<'static, Postgres>;

#[async_trait]
impl HistoryReader for PgHistory {
    async fn end(&self, scope: &Scope) -> AppResult<Option<Place>> {
        let mut query =
            within("e.sequence, e.log_epoch, e.transaction_id::text as transaction_text, e.global_position", scope);
        order(&mut query, scope, true, 1);
        let row = query.build().fetch_optional(&self.pool).await.map_err(app_error)?;
        let place = |row| Ok(Place { position: position(&row)?, sequence: sqlx::Row::try_get(&row, "sequence")? });
        row.map(place).transpose().map_err(app_error)
    }

    async fn read(&self, scope: &Scope, filter: &HistoryFilter, span: Span, limit: u32) -> AppResult<Batch> {
        let mut query = within(COLUMNS, scope);
        if let Some(after) = &span.after {
            bound(&mut query, scope, if filter.newest_first { "<" } else { ">" }, after);
        }
        if let Some(until) = &span.until {
            bound(&mut query, scope, "<=", until);
        }
        narrow(&mut query, filter);
        order(&mut query, scope, filter.newest_first, i64::from(limit) + 1);
        let mut connection = self.pool.acquire().await.map_err(app_error)?;
        let (mut events, mut bytes, mut more) = (Vec::new(), 0, false);
        {
            let mut rows = query.build().fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(app_error)? {
                more = events.len() >= limit as usize || bytes >= BYTES_MAX;
                if more {
                    break;
                }
                let event = RawEvent::read(&row).map_err(app_error)?;
                bytes += event.payload.get().len();
                events.push(event);
            }
        }
        let parts = self.keys.find(&mut connection, &events).await.map_err(KeyError::into_database);
        let parts = parts.map_err(app_error)?;
        let last = events.last().map(|event| Place { position: event.position, sequence: event.sequence });
        let entries = Box::new(move || {
            parts.open(&mut events);
            events.into_iter().map(entry).collect::<Result<Vec<_>, _>>().map_err(AppError::internal)
        });
        Ok(Batch { entries, last, more })
    }
}

/// Everything of the scope that nothing can appear before any more. A stream has no gaps at any time.
fn within(columns: &str, scope: &Scope) -> Query {
    let mut query = QueryBuilder::new(format!("select {columns} from events e where "));
    match scope {
        Scope::Log(tenant) => {
            query.push("e.tenant_id = ").push_bind(tenant.to_string()).push(" and ").push(FINISHED);
        }
        Scope::Stream { aggregate, stream } => {
            query.push("e.aggregate_type = ").push_bind(*aggregate);
            query.push(" and e.aggregate_id = ").push_bind(stream.to_string());
        }
    }
    query
}

fn bound(query: &mut Query, scope: &Scope, comparison: &str, place: &Place) {
    match scope {
        Scope::Log(_) => bound_position(query, comparison, place.position),
        Scope::Stream { .. } => {
            query.push(format!(" and e.sequence {comparison} ")).push_bind(place.sequence);
        }
    }
}

fn bound_position(query: &mut Query, comparison: &str, position: Position) {
    query.push(format!(" and (e.log_epoch, e.transaction_id, e.global_position) {comparison} ("));
    query.push_bind(position.epoch).push(", ").push_bind(position.transaction.to_string());
    query.push("::text::xid8, ").push_bind(position.number).push(")");
}

fn narrow(query: &mut Query, filter: &HistoryFilter) {
    if !filter.types.is_empty() {
        query.push(" and e.event_type = any(").push_bind(filter.types.clone()).push(")");
    }
    if let Some(actor) = &filter.actor {
        query.push(" and e.metadata ->> 'actor' = ").push_bind(actor.clone());
    }
    match filter.from {
        Some(At::Position(position)) => bound_position(query, ">=", position),
        Some(At::Time(time)) => {
            query.push(" and e.recorded_at >= ").push_bind(first_instant(time));
        }
        None => {}
    }
    match filter.to {
        Some(At::Position(position)) => bound_position(query, "<=", position),
        Some(At::Time(time)) => {
            query.push(" and e.recorded_at < ").push_bind(time.trunc_subsecs(3) + TimeDelta::milliseconds(1));
        }
        None => {}
    }
}

/// The first instant that is shown with this time or a later one.
pub(crate) fn first_instant(time: DateTime<Utc>) -> DateTime<Utc> {
    let shown = time.trunc_subsecs(3);
    if shown == time { shown } else { shown + TimeDelta::milliseconds(1) }
}

fn order(query: &mut Query, scope: &Scope, newest_first: bool, limit: i64) {
    let columns: &[&str] = match scope {
        Scope::Log(_) => &["e.log_epoch", "e.transaction_id", "e.global_position"],
        Scope::Stream { .. } => &["e.sequence"],
    };
    let way = if newest_first { " desc" } else { "" };
    let columns: Vec<String> = columns.iter().map(|column| format!("{column}{way}")).collect();
    query.push(format!(" order by {} limit ", columns.join(", "))).push_bind(limit);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    causation_id: Option<Cow<'a, str>>,
}

/// As an auditor sees it.
///
/// # Errors
/// Its payload is no JSON.
pub(crate) fn entry(event: RawEvent) -> Result<HistoryEntry, serde_json::Error> {
    let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
    let (actor, correlation_id, causation_id) = match serde_json::from_str::<Metadata<'_>>(event.metadata.get()) {
        Ok(metadata) => (told(metadata.actor), told(metadata.correlation_id), told(metadata.causation_id)),
        Err(_) => (None, None, None),
    };
    let payload = match event.payload {
        payload if event.erased || event.unopened.is_some() => left_in(&payload)?,
        // Ours has none, but the column keeps JSON as it was written, and a line is a line.
        payload if payload.get().contains('\n') => compact(&payload)?,
        payload => payload,
    };
    let id = event.stream.split_once('/').map_or(event.stream.as_str(), |(_, id)| id).to_owned();
    Ok(HistoryEntry {
        aggregate: event.aggregate_type,
        id,
        sequence: event.sequence,
        position: event.position,
        event_id: event.event_id,
        event_type: event.event_type,
        version: event.event_version,
        at: event.recorded_at.into(),
        actor,
        correlation_id,
        causation_id,
        payload,
        erased: event.erased,
        unreadable: event.unopened,
    })
}

fn compact(json: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::value::to_raw_value(&serde_json::from_str::<serde_json::Value>(json.get())?)
}
