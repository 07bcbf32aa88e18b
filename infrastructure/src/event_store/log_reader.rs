//! Reading the log in its order: rows and horizon under one snapshot, the cursor the whole tuple.

use std::collections::HashMap;

use application::log::{Position, Recorded};
use chrono::{DateTime, Utc};
use domain::shared::ids::{StreamId, TenantId};
use domain::upcast::{is_current, upcast};
use futures::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::event_store::keys::ContactKey;
use crate::event_store::sealed::{Sealed, event_place};

/// What has finished, as a condition on `events e`: no event can appear behind a cursor there. Whatever an earlier
/// epoch holds, and of the current one what the oldest open transaction is not older than. Both bounds are one
/// comparison of rows, so that the index ends where the horizon is.
macro_rules! finished {
    () => {
        "(e.log_epoch, e.transaction_id) < ((select m.log_epoch from store_meta m), pg_snapshot_xmin(pg_current_snapshot()))"
    };
}

/// The same, for other readers of the log.
pub(crate) const FINISHED: &str = finished!();

/// The columns of the order are qualified: bare, `transaction_id` would be the text of the output column, and the
/// index would be lost.
const READ: &str = concat!(
    "
select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.event_id, e.recorded_at,
       case when e.aggregate_type = any($5) then e.payload else 'null' end as payload,
       case when e.aggregate_type = any($5) then e.metadata else 'null' end as metadata,
       e.log_epoch, e.transaction_id::text as transaction_text, e.global_position
  from events e
 where (e.log_epoch, e.transaction_id, e.global_position) > ($1, $2::text::xid8, $3)
   and ",
    finished!(),
    "
 order by e.log_epoch, e.transaction_id, e.global_position
 limit $4"
);

/// What [`RawEvent::read`] reads.
pub(crate) const COLUMNS: &str =
    "e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload, e.metadata,
    e.event_id, e.recorded_at, e.log_epoch, e.transaction_id::text as transaction_text, e.global_position";

/// Where a row stands in the log.
pub(crate) fn position(row: &PgRow) -> Result<Position, sqlx::Error> {
    let transaction: String = row.try_get("transaction_text")?;
    Ok(Position {
        epoch: row.try_get("log_epoch")?,
        transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        number: row.try_get("global_position")?,
    })
}

/// An event as the log holds it, its payload unread.
#[derive(Debug)]
pub struct RawEvent {
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The stream as text; a stock postgres-es stream need not be ours.
    pub stream: String,
    /// Its number in the stream.
    pub sequence: i64,
    /// Stable tag.
    pub event_type: String,
    /// Version of its shape.
    pub event_version: String,
    /// Its JSON; as it stands in the log until `KeyRing::open` opened it.
    pub payload: Box<RawValue>,
    /// Whether its contact was erased: the payload is what is left of it.
    pub erased: bool,
    /// Why its sealed part does not open, though there is a key.
    pub unopened: Option<&'static str>,
    /// Actor, correlation, causation.
    pub metadata: Box<RawValue>,
    /// Its own id.
    pub event_id: Uuid,
    /// When the log took it in.
    pub recorded_at: DateTime<Utc>,
    /// Where it stands.
    pub position: Position,
}

impl RawEvent {
    /// A row of [`COLUMNS`].
    pub(crate) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            aggregate_type: row.try_get("aggregate_type")?,
            stream: row.try_get("aggregate_id")?,
            sequence: row.try_get("sequence")?,
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            erased: false,
            unopened: None,
            payload: row.try_get::<Json<Box<RawValue>>, _>("payload")?.0,
            metadata: row.try_get::<Json<Box<RawValue>>, _>("metadata")?.0,
            event_id: row.try_get("event_id")?,
            recorded_at: row.try_get("recorded_at")?,
            position: position(row)?,
        })
    }

    /// The account it belongs to; `None` for a stream that is not ours.
    pub fn tenant(&self) -> Option<TenantId> {
        self.stream.split_once('/').and_then(|(tenant, _)| tenant.parse().ok())
    }

    /// Puts the event as it was written in the place of what is left of it.
    pub(crate) fn open(&mut self, key: &ContactKey, part: &Sealed) {
        let place = event_place(&self.aggregate_type, &self.stream, self.sequence);
        let text = key.open(part, &place).and_then(|whole| String::from_utf8(whole).ok());
        match text.and_then(|text| RawValue::from_string(text).ok()) {
            Some(whole) => self.payload = whole,
            None => self.unopened = Some("what is sealed in it was changed, or belongs elsewhere"),
        }
    }

    /// The event itself, in today's shape.
    ///
    /// # Errors
    /// This build cannot read its stream id, its payload or its metadata.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<Recorded<E>, String> {
        if let Some(reason) = self.unopened {
            return Err(format!("{}: {reason}", self.event_type));
        }
        let stream: StreamId = self.stream.parse().map_err(|error| format!("stream id: {error}"))?;
        let metadata: HashMap<String, String> = serde_json::from_str(self.metadata.get()).unwrap_or_default();
        let unread = |error: serde_json::Error| format!("{}: {error}", self.event_type);
        let event = match is_current(&self.event_type, &self.event_version) {
            Ok(true) => serde_json::from_str(self.payload.get()).map_err(unread)?,
            Ok(false) => {
                let former = serde_json::from_str(self.payload.get()).map_err(unread)?;
                let today = upcast(&self.event_type, &self.event_version, former).map_err(|error| error.to_string())?;
                serde_json::from_value(today).map_err(unread)?
            }
            Err(unknown) => return Err(unknown.to_string()),
        };
        Ok(Recorded {
            stream,
            sequence: self.sequence,
            event_id: self.event_id,
            position: self.position,
            recorded_at: self.recorded_at,
            metadata,
            event,
        })
    }
}

/// The events after `after`, in the order of the log. Those of other aggregates than `of` come with their places
/// alone, their payload left out: a reader passes over them, and its cursor does not stay behind.
///
/// # Errors
/// The database.
pub async fn read_log(
    connection: &mut PgConnection,
    after: Position,
    limit: i64,
    of: &[&str],
) -> Result<Vec<RawEvent>, sqlx::Error> {
    let rows = sqlx::query(READ)
        .bind(after.epoch)
        .bind(after.transaction.to_string())
        .bind(after.number)
        .bind(limit)
        .bind(of)
        .fetch_all(connection)
        .await?;
    rows.iter().map(RawEvent::read).collect()
}

/// A stream's events after `after`, in order, as they are in the log.
///
/// # Errors
/// The database.
pub async fn read_stream(
    connection: &mut PgConnection,
    aggregate_type: &str,
    stream: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<RawEvent>, sqlx::Error> {
    read_streams(connection, aggregate_type, &[stream.to_owned()], &[after], limit).await
}

/// The next events of some streams, each after its own sequence and up to `limit`: stream by stream, in their order.
///
/// # Errors
/// The database.
pub async fn read_streams(
    connection: &mut PgConnection,
    aggregate_type: &str,
    streams: &[String],
    after: &[i64],
    limit: i64,
) -> Result<Vec<RawEvent>, sqlx::Error> {
    let sql = format!(
        "select {COLUMNS} from unnest($2::text[], $3::bigint[]) with ordinality as w(stream, after, n) cross join lateral (
             select * from events e where e.aggregate_type = $1 and e.aggregate_id = w.stream and e.sequence > w.after
              order by e.sequence limit $4) as e
          order by w.n, e.sequence"
    );
    let rows = sqlx::query(&sql).bind(aggregate_type).bind(streams).bind(after).bind(limit);
    rows.fetch_all(connection).await?.iter().map(RawEvent::read).collect()
}

/// A range of an aggregate's streams, below a barrier of the log.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    /// The aggregate's type.
    pub aggregate_type: &'a str,
    /// The last stream before the range, and the last event in it that is known; none: from the beginning.
    pub after: Option<(String, i64)>,
    /// The first stream that is in, when no stream is known yet.
    pub from: Option<&'a str>,
    /// The first stream that is not in.
    pub to: Option<&'a str>,
    /// Events from here on are left out.
    pub below: Position,
    /// Types whose payloads are wanted; empty: all.
    pub types: &'a [&'a str],
}

/// A page of a range, stream by stream, each in its order. The barrier must have been below the horizon.
///
/// # Errors
/// The database.
pub async fn read_range(
    connection: &mut PgConnection,
    range: &Range<'_>,
    limit: i64,
) -> Result<Vec<RawEvent>, sqlx::Error> {
    // Bounds that are not there are left out, not null: else the index would be walked to its end. The barrier is
    // written so that no index has it: else the planner takes the feed's, and sorts the rest of the log for a page.
    let (start, stream, sequence) = match (&range.after, range.from) {
        (Some((stream, sequence)), _) => ("and (e.aggregate_id, e.sequence) > ($5, $6)", stream.as_str(), *sequence),
        (None, Some(from)) => ("and (e.aggregate_id, e.sequence) >= ($5, $6)", from, 0),
        (None, None) => ("and $5 is not null and $6 is not null", "", 0),
    };
    let end = if range.to.is_some() { "and e.aggregate_id < $7" } else { "and $7::text is null" };
    let wanted = "e.event_type = any($8) or $8 = '{}'";
    let statement = format!(
        "select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.event_id, e.recorded_at,
                case when {wanted} then e.payload else 'null' end as payload,
                case when {wanted} then e.metadata else 'null' end as metadata,
                e.log_epoch, e.transaction_id::text as transaction_text, e.global_position
           from events e
          where e.aggregate_type = $1 and (e.log_epoch::int, e.transaction_id) < ($2::int, $3::text::xid8) {start} {end}
          order by e.aggregate_id, e.sequence limit $4"
    );
    let rows = sqlx::query(&statement)
        .bind(range.aggregate_type)
        .bind(i32::from(range.below.epoch))
        .bind(range.below.transaction.to_string())
        .bind(limit)
        .bind(stream)
        .bind(sequence)
        .bind(range.to)
        .bind(range.types)
        .fetch(connection);
    // Row by row: a page need not be in memory twice.
    rows.map(|row| RawEvent::read(&row?)).try_collect().await
}

/// How far the oldest event that cannot be read yet lies behind, in seconds: what a long transaction holds up.
///
/// # Errors
/// The database.
pub async fn horizon_age(connection: &mut PgConnection) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar(
        "select coalesce(extract(epoch from clock_timestamp() - min(e.recorded_at)), 0)::float8
           from events e
          where (e.log_epoch, e.transaction_id) >= ((select m.log_epoch from store_meta m), pg_snapshot_xmin(pg_current_snapshot()))",
    )
    .fetch_one(connection)
    .await
}
