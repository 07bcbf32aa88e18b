//! Reading the stored bytes of many events: binary `copy`, one message an event, nothing copied twice.
//!
//! A stream that is not read to its end leaves the connection unusable: [`CopyConnection`] sees to it that nobody gets
//! it after that.

use std::ops::{Deref, DerefMut};

use application::log::Position;
use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use uuid::Uuid;

use super::leaf::Stored;
use crate::event_store::log_reader::FINISHED;

/// What every binary `copy` begins with; flags and the length of an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Columns of the statement.
const COLUMNS: i16 = 13;
/// Microseconds from 1970, where we count from, to 2000, where PostgreSQL does.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// How far to read.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// Everything that has finished: no event can appear behind it any more.
    Horizon,
    /// A place in the log, included.
    Position(Position),
}

/// A connection that goes back to the pool only when all that was read on it came to its end. A `copy` that fails or is
/// given up leaves its last answer unread, and sqlx (0.8.6) does not count it: the next one on the connection would take
/// that for the end of an empty result.
pub struct CopyConnection {
    connection: PoolConnection<Postgres>,
    is_sound: bool,
}

impl CopyConnection {
    /// One of the pool's.
    ///
    /// # Errors
    /// There is none.
    pub async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, is_sound: false })
    }

    /// Everything was read to its end.
    pub fn give_back(mut self) {
        self.is_sound = true;
    }
}

impl Drop for CopyConnection {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for CopyConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for CopyConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// Shows `each` the events after a place, in the order of the log, `limit` at most. How many they were.
///
/// # Errors
/// The database; `each` may have seen some events by then, and the connection may not be used again.
pub async fn read(
    connection: &mut PgConnection,
    after: Position,
    until: Until,
    limit: i64,
    mut each: impl FnMut(&Stored<'_>),
) -> Result<i64, sqlx::Error> {
    let statement = statement(after, until, limit);
    let mut rows = connection.copy_out_raw(&statement).await?;
    let mut seen = 0;
    while let Some(row) = rows.try_next().await? {
        let malformed =
            || sqlx::Error::Protocol("a row of the log came in another form than it was asked for".to_owned());
        if let Row::Event(event) = parse(&row).ok_or_else(malformed)? {
            each(&event);
            seen += 1;
        }
    }
    Ok(seen)
}

/// `copy` takes no arguments; these are numbers.
fn statement(after: Position, until: Until, limit: i64) -> String {
    let tuple = |at: Position| format!("({}::smallint, '{}'::xid8, {}::bigint)", at.epoch, at.transaction, at.number);
    let bound = match until {
        Until::Horizon => FINISHED.to_owned(),
        Until::Position(at) => {
            // Written so that no index has it: a bound of rows ends an index scan by its first column only, and one that
            // does not hold keeps the next from being looked at, so that the index would be walked to its end.
            let bound = format!("(e.log_epoch::int, e.transaction_id, e.global_position) <= {}", tuple(at));
            let within = if at.epoch == after.epoch {
                format!(
                    "e.log_epoch = {} and e.transaction_id between '{}'::xid8 and '{}'::xid8",
                    at.epoch, after.transaction, at.transaction
                )
            } else {
                format!("e.log_epoch <= {}", at.epoch)
            };
            format!("{bound} and {within}")
        }
    };
    format!(
        "copy (select e.log_epoch, e.transaction_id, e.global_position, e.aggregate_type, e.aggregate_id, e.sequence,
                      e.event_type, e.event_version, e.event_id, e.recorded_at, e.payload, e.metadata, e.tenant_id
                 from events e
                where (e.log_epoch, e.transaction_id, e.global_position) > {} and {bound}
                order by e.log_epoch, e.transaction_id, e.global_position limit {limit}) to stdout (format binary)",
        tuple(after)
    )
}

enum Row<'a> {
    Event(Stored<'a>),
    /// The header alone, or the trailer.
    Nothing,
}

fn parse(message: &[u8]) -> Option<Row<'_>> {
    let mut fields = Fields(message);
    if message.starts_with(SIGNATURE) {
        fields.take(SIGNATURE.len() + 4)?;
        let extension = fields.number::<4>().map(u32::from_be_bytes)?;
        fields.take(usize::try_from(extension).ok()?)?;
    }
    if fields.0.is_empty() {
        return Some(Row::Nothing);
    }
    match fields.number().map(i16::from_be_bytes)? {
        -1 => Some(Row::Nothing),
        COLUMNS => Some(Row::Event(Stored {
            position: Position {
                epoch: i16::from_be_bytes(fields.fixed()?),
                transaction: u64::from_be_bytes(fields.fixed()?),
                number: i64::from_be_bytes(fields.fixed()?),
            },
            aggregate_type: fields.field()?,
            aggregate_id: fields.field()?,
            sequence: i64::from_be_bytes(fields.fixed()?),
            event_type: fields.field()?,
            event_version: fields.field()?,
            event_id: Uuid::from_bytes(fields.fixed()?),
            recorded_at_micros: i64::from_be_bytes(fields.fixed()?).checked_add(EPOCH_MICROS)?,
            payload: fields.field()?,
            metadata: fields.field()?,
            tenant: fields.field()?,
        })),
        _ => None,
    }
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A field behind its length; null has none, and no column is null.
    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.number().map(i32::from_be_bytes)?;
        self.take(usize::try_from(length).ok()?)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.field()?.try_into().ok()
    }
}
