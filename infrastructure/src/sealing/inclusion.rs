//! Proof for one event: its bytes, the leaves beside it, the links and the signature.

use application::audit::Inclusion;
use application::error::{AppError, AppResult};
use application::log::Position;
use domain::shared::ids::TenantId;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::chain::GENESIS;
use super::leaf::Leaves;
use super::reader::{self, Until};
use super::seals::{self, BATCH_MAX, Seal};
use crate::postgres::app_error;

const BY_ID: &str = "
select e.log_epoch, e.transaction_id::text as transaction_text, e.global_position from events e
 where e.event_id = $1 and e.tenant_id = $2 limit 1";

/// The proof for one event of the account, named by its position, which is fast, or by its id, which reads the whole
/// log: no index of ids slows appends down.
///
/// # Errors
/// The account has no such event, it is not sealed yet, or the database.
pub async fn inclusion(pool: &PgPool, tenant: TenantId, event: &str) -> AppResult<Inclusion> {
    let unknown = || AppError::NotFound("event");
    let position = match event.parse::<Position>() {
        Ok(position) => position,
        Err(_) => {
            let id: Uuid = event.parse().map_err(|_| unknown())?;
            by_id(pool, tenant, id).await.map_err(app_error)?.ok_or_else(unknown)?
        }
    };
    let found = read(pool.clone(), tenant, position);
    // A task of its own: see the reader.
    let found = tokio::spawn(found).await.map_err(AppError::internal)?;
    found.map_err(app_error)?
}

async fn by_id(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Option<Position>, sqlx::Error> {
    let row = sqlx::query(BY_ID).bind(id).bind(tenant.to_string()).fetch_optional(pool).await?;
    row.map(|row| {
        let transaction: String = row.try_get("transaction_text")?;
        Ok(Position {
            epoch: row.try_get("log_epoch")?,
            transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            number: row.try_get("global_position")?,
        })
    })
    .transpose()
}

async fn read(pool: PgPool, tenant: TenantId, position: Position) -> Result<AppResult<Inclusion>, sqlx::Error> {
    let tenant = tenant.to_string();
    let Some(seal) = seals::over(&pool, position).await? else {
        let own = "select exists (select from events e where (e.log_epoch, e.transaction_id, e.global_position)
                                     = ($1, $2::text::xid8, $3) and e.tenant_id = $4)";
        let own = sqlx::query_scalar(own).bind(position.epoch).bind(position.transaction.to_string());
        let own: bool = own.bind(position.number).bind(&tenant).fetch_one(&pool).await?;
        return Ok(Err(if own {
            let message = "the event is not sealed yet; it will be in a second or two".to_owned();
            AppError::Conflict { code: "not_sealed", message }
        } else {
            AppError::NotFound("event")
        }));
    };
    let before = seals::of_batch(&pool, seal.batch - 1).await?;
    let mut connection = pool.acquire().await?;
    let (mut leaves, mut hashes, mut found) = (Leaves::default(), Vec::new(), None);
    let after = before.as_ref().map_or_else(Position::default, |seal| seal.end);
    let all = reader::read(&mut connection, after, Until::Position(seal.end), BATCH_MAX, |event| {
        let leaf = leaves.hash(event);
        if event.position == position && event.tenant == tenant.as_bytes() {
            found = Some((hashes.len(), leaf, event.shown()));
        }
        hashes.push(leaf);
    });
    all.await?;
    let Some((index, leaf, event)) = found else { return Ok(Err(AppError::NotFound("event"))) };
    let event = event.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let index = i64::try_from(index).unwrap_or(BATCH_MAX);
    let Seal { batch, first_number, last_number, chain, signature, key_id, .. } = seal;
    Ok(Ok(Inclusion {
        number: first_number.saturating_add(index),
        event,
        leaf: hex::encode(leaf),
        batch,
        index,
        leaves: hashes.iter().map(hex::encode).collect(),
        previous_chain: hex::encode(before.map_or(GENESIS, |seal| seal.chain)),
        chain: hex::encode(chain),
        last_number,
        signature: hex::encode(signature),
        key_id,
    }))
}
