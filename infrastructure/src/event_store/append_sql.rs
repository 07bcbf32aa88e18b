//! The one statement of an append, for any number of commands.

mod columns;
mod part;
mod slots;
mod statement;

use std::collections::HashMap;

use application::log::Position;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::event_store::append::{Append, AppendError};
use crate::event_store::append_sql::columns::Columns;
use crate::event_store::append_sql::statement::Statement;

/// As keys are kept: their kind in clear, the rest hashed, for a provider's message id holds the customer's phone.
pub(crate) fn hashed(key: &str) -> String {
    let kind = key.split_once(':').map_or("", |(kind, _)| kind);
    format!("{kind}:{}", hex::encode(Sha256::digest(key)))
}

/// What became of a command.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// The position of its last event.
    pub position: Option<Position>,
    /// The row of its first message, when its token claimed it.
    pub claimed: Option<i64>,
}

/// Writes these commands, each with the token that is to claim its first message; an error means that none of them was
/// written.
pub(super) async fn execute(
    connection: &mut PgConnection,
    appends: &[(&Append, Option<Uuid>)],
) -> Result<Vec<Result<Written, AppendError>>, sqlx::Error> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns = Columns::default();
    for (command, (append, claim)) in (0..).zip(appends) {
        columns.add(command, append, *claim);
    }
    let statement = Statement::of(columns)?;
    let rows = sqlx::query_with(&statement.text(), statement.arguments).fetch_all(connection).await?;
    read(appends, &rows)
}

fn read(appends: &[(&Append, Option<Uuid>)], rows: &[PgRow]) -> Result<Vec<Result<Written, AppendError>>, sqlx::Error> {
    let of_stream: HashMap<_, _> = (0..)
        .zip(appends)
        .map(|(command, (append, _))| ((append.aggregate_type, append.stream.to_string()), command))
        .collect();
    let of_token: HashMap<_, _> = (0..).zip(appends).filter_map(|(n, (_, token))| Some(((*token)?, n))).collect();
    let mut results: Vec<_> = appends.iter().map(|_| Ok(Written::default())).collect();
    for row in rows {
        if let Some(command) = row.try_get::<Option<i32>, _>("command")? {
            let lease = row.try_get::<&str, _>("reason")? == "lease";
            let refused = if lease { AppendError::LeaseLost } else { AppendError::KeyTaken };
            if let Some(result) = results.get_mut(usize::try_from(command).unwrap_or(usize::MAX)) {
                *result = Err(refused);
            }
        } else if let Some(token) = row.try_get::<Option<Uuid>, _>("token")? {
            if let Some(Ok(written)) = of_token.get(&token).and_then(|n: &usize| results.get_mut(*n)) {
                written.claimed = row.try_get("claimed")?;
            }
        } else {
            let position = Position {
                epoch: row.try_get("log_epoch")?,
                transaction: row.try_get::<&str, _>("transaction_id")?.parse().unwrap_or_default(),
                number: row.try_get("global_position")?,
            };
            let stream = (row.try_get::<&str, _>("aggregate_type")?, row.try_get("aggregate_id")?);
            if let Some(Ok(written)) = of_stream.get(&stream).and_then(|n: &usize| results.get_mut(*n)) {
                written.position = written.position.max(Some(position));
            }
        }
    }
    Ok(results)
}
