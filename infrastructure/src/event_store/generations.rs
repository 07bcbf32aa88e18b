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

/// The columns of [`held`].
pub const CHECKPOINT: &str = "name, generation, role, log_epoch, transaction_id::text as transaction_text, position";
/// Of a checkpoint whose projection may take a turn: it runs, and is past its slices.
const MAY_TURN: &str = "status = 'running' and phase is distinct from 'slices'";

/// The checkpoint of a row with the columns of [`CHECKPOINT`].
///
/// # Errors
/// The row has no such columns.
pub fn held(row: &PgRow) -> Result<Held, sqlx::Error> {
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
    take(connection, name, which, &format!("and {MAY_TURN} for update skip locked")).await
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
    let statement = format!(
        "select {CHECKPOINT} from projections where name = $1 and (generation = $2 or ($2 is null and role = 'live')) {how}"
    );
    let row = sqlx::query(&statement).bind(name).bind(generation).fetch_optional(connection).await?;
    row.as_ref().map(held).transpose()
}

/// Takes the live checkpoints of these projections that nobody has and that run.
///
/// # Errors
/// The database.
pub async fn lock_live(connection: &mut PgConnection, names: &[&str]) -> Result<Vec<Held>, sqlx::Error> {
    let these = "name = any($1) and role = 'live'";
    let statement = format!(
        "select {CHECKPOINT} from projections where {these} and {MAY_TURN} order by name for update skip locked"
    );
    sqlx::query(&statement).bind(names).fetch_all(connection).await?.iter().map(held).collect()
}

/// Where a checkpoint goes.
#[derive(Debug, Clone)]
pub struct Step {
    /// The checkpoint.
    pub held: Held,
    /// Where to.
    pub to: Position,
    /// Events its model took in.
    pub events: i64,
    /// What halts it.
    pub error: Option<String>,
}

/// Moves checkpoints this transaction holds.
///
/// # Errors
/// The database.
pub async fn go(connection: &mut PgConnection, steps: &[Step]) -> Result<(), sqlx::Error> {
    let statement = format!(
        "update projections p set log_epoch = s.epoch, transaction_id = s.transaction::xid8, position = s.number,
                events_done = events_done + s.events,
                status = case when s.error is null then 'running' else 'halted' end, error = s.error,
                rate = {}, updated_at = clock_timestamp()
           from unnest($1::text[], $2::int[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[])
                as s(name, generation, epoch, transaction, number, events, error)
          where p.name = s.name and p.generation = s.generation",
        SMOOTHED.replace("$EVENTS", "s.events")
    );
    sqlx::query(&statement)
        .bind(steps.iter().map(|step| step.held.name.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.held.generation).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.epoch).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.transaction.to_string()).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.to.number).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.events).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.error.as_deref()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
