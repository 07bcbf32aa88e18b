//! The generations of a projection: whose table is whose, and the locks on their checkpoints.

use application::log::Position;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

/// Moves a rate toward what just happened; the longer ago the last time, the less the past counts.
pub const SMOOTHED: &str = "rate * exp(-extract(epoch from clock_timestamp() - updated_at) / 10)
    + $EVENTS / greatest(extract(epoch from clock_timestamp() - updated_at), 0.001)
      * (1 - exp(-extract(epoch from clock_timestamp() - updated_at) / 10))";

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read by everybody.
    Live,
    /// On its way to be live.
    Building,
    /// Live before, and kept in step for a rollback.
    Former,
}

impl Role {
    /// The role a word in the table stands for.
    pub fn read(word: &str) -> Self {
        match word {
            "building" => Self::Building,
            "former" => Self::Former,
            _ => Self::Live,
        }
    }
}

/// Which generation of a projection is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that is live by now.
    Live,
    /// The one with this number, whatever its role.
    Numbered(i32),
}

/// A checkpoint whose row this transaction holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// The projection.
    pub name: String,
    /// Its generation.
    pub generation: i32,
    /// What the generation is for.
    pub role: Role,
    /// Where it stands.
    pub position: Position,
}

impl Held {
    /// The generation's table.
    pub fn table(&self) -> String {
        table(&self.name, self.generation, self.role)
    }
}

/// The table of a generation. The live one has the projection's name.
pub fn table(name: &str, generation: i32, role: Role) -> String {
    match role {
        Role::Live => name.to_owned(),
        Role::Building | Role::Former => format!("{name}_g{generation}"),
    }
}

/// The checkpoint in a row with `log_epoch`, `transaction_text` and `position`.
///
/// # Errors
/// The row has no such columns.
pub fn position(row: &PgRow) -> Result<Position, sqlx::Error> {
    let transaction: String = row.try_get("transaction_text")?;
    Ok(Position {
        epoch: row.try_get("log_epoch")?,
        transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        number: row.try_get("position")?,
    })
}

const CHECKPOINT: &str = "select name, generation, role, log_epoch, transaction_id::text as transaction_text, position
    from projections where name = $1 and (generation = $2 or ($2 is null and role = 'live'))";

fn held(row: &PgRow) -> Result<Held, sqlx::Error> {
    Ok(Held {
        name: row.try_get("name")?,
        generation: row.try_get("generation")?,
        role: Role::read(row.try_get("role")?),
        position: position(row)?,
    })
}

/// Takes a checkpoint for a turn: when nobody has it, it runs, and it is past its slices.
///
/// # Errors
/// The database.
pub async fn lock(connection: &mut PgConnection, name: &str, which: Which) -> Result<Option<Held>, sqlx::Error> {
    let runs = "status = 'running' and phase is distinct from 'slices'";
    take(connection, name, which, &format!("and {runs} for update skip locked")).await
}

/// Takes a checkpoint whatever its state, after whoever has it.
///
/// # Errors
/// The database; somebody held it for longer than `lock_timeout`.
pub async fn wait_for(connection: &mut PgConnection, name: &str, which: Which) -> Result<Option<Held>, sqlx::Error> {
    take(connection, name, which, "for update").await
}

async fn take(connection: &mut PgConnection, name: &str, which: Which, how: &str) -> Result<Option<Held>, sqlx::Error> {
    let generation = match which {
        Which::Live => None,
        Which::Numbered(generation) => Some(generation),
    };
    let statement = format!("{CHECKPOINT} {how}");
    let row = sqlx::query(&statement).bind(name).bind(generation).fetch_optional(connection).await?;
    row.as_ref().map(held).transpose()
}

/// Moves a checkpoint this transaction holds; `error` halts it.
///
/// # Errors
/// The database.
pub async fn move_to(
    connection: &mut PgConnection,
    held: &Held,
    to: Position,
    events: i64,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    let statement = format!(
        "update projections set log_epoch = $3, transaction_id = $4::text::xid8, position = $5, events_done = events_done + $6,
                status = case when $7::text is null then 'running' else 'halted' end, error = $7,
                rate = {}, updated_at = clock_timestamp()
          where name = $1 and generation = $2",
        SMOOTHED.replace("$EVENTS", "$6")
    );
    sqlx::query(&statement)
        .bind(&held.name)
        .bind(held.generation)
        .bind(to.epoch)
        .bind(to.transaction.to_string())
        .bind(to.number)
        .bind(events)
        .bind(error)
        .execute(connection)
        .await?;
    Ok(())
}
