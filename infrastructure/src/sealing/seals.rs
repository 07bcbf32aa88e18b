//! Rows of the table of seals.

use application::audit::Head;
use application::log::Position;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};

use super::chain::GENESIS;
use super::leaf::Hash;

/// Events of a batch at most.
pub const BATCH_MAX: i64 = 1_000;

macro_rules! columns {
    () => {
        "s.batch, s.first_number, s.last_number, s.log_epoch, s.transaction_id::text as transaction_text, s.position,
         s.digest, s.chain, s.signature, s.key_id"
    };
}

/// One batch's seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The batch, from 1.
    pub batch: i64,
    /// The number of its first event.
    pub first_number: i64,
    /// The number of its last event.
    pub last_number: i64,
    /// Where its last event stands.
    pub end: Position,
    /// sha256 over its leaves.
    pub digest: Hash,
    /// The chain with it.
    pub chain: Hash,
    /// Ed25519 over batch, last number and chain.
    pub signature: Vec<u8>,
    /// The key it was signed with.
    pub key_id: String,
}

impl Seal {
    /// What stands before the first batch.
    pub fn genesis() -> Self {
        Self {
            batch: 0,
            first_number: 0,
            last_number: 0,
            end: Position::default(),
            digest: GENESIS,
            chain: GENESIS,
            signature: Vec::new(),
            key_id: String::new(),
        }
    }

    /// How many events it vouches for, as it says.
    pub fn events(&self) -> i64 {
        self.last_number.saturating_sub(self.first_number).saturating_add(1)
    }

    /// The seal as a head to keep.
    pub fn head(&self) -> Head {
        Head {
            batch: self.batch,
            number: self.last_number,
            chain: hex::encode(self.chain),
            signature: hex::encode(&self.signature),
            key_id: self.key_id.clone(),
        }
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let transaction: String = row.try_get("transaction_text")?;
        let hash = |name: &str| {
            row.try_get::<&[u8], _>(name)?.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))
        };
        Ok(Self {
            batch: row.try_get("batch")?,
            first_number: row.try_get("first_number")?,
            last_number: row.try_get("last_number")?,
            end: Position {
                epoch: row.try_get("log_epoch")?,
                transaction: transaction.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                number: row.try_get("position")?,
            },
            digest: hash("digest")?,
            chain: hash("chain")?,
            signature: row.try_get("signature")?,
            key_id: row.try_get("key_id")?,
        })
    }
}

/// The newest seal.
///
/// # Errors
/// The database.
pub async fn newest(executor: impl PgExecutor<'_>) -> Result<Option<Seal>, sqlx::Error> {
    let newest = concat!("select ", columns!(), " from seals s order by s.batch desc limit 1");
    sqlx::query(newest).fetch_optional(executor).await?.as_ref().map(Seal::read).transpose()
}

/// The seal of a batch.
///
/// # Errors
/// The database.
pub async fn of_batch(executor: impl PgExecutor<'_>, batch: i64) -> Result<Option<Seal>, sqlx::Error> {
    let one = concat!("select ", columns!(), " from seals s where s.batch = $1");
    sqlx::query(one).bind(batch).fetch_optional(executor).await?.as_ref().map(Seal::read).transpose()
}

/// The seals after a batch, in order.
///
/// # Errors
/// The database.
pub async fn after(executor: impl PgExecutor<'_>, batch: i64, limit: i64) -> Result<Vec<Seal>, sqlx::Error> {
    let page = concat!("select ", columns!(), " from seals s where s.batch > $1 order by s.batch limit $2");
    sqlx::query(page).bind(batch).bind(limit).fetch_all(executor).await?.iter().map(Seal::read).collect()
}

/// The batch before the one that holds a number; the newest one when no batch does.
///
/// # Errors
/// The database.
pub async fn batch_before(executor: impl PgExecutor<'_>, number: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select coalesce((select s.batch - 1 from seals s where s.last_number >= $1 order by s.last_number limit 1),
                         (select max(s.batch) from seals s), 0)",
    )
    .bind(number)
    .fetch_one(executor)
    .await
}

/// The seal a place in the log lies under; none when it is not sealed yet.
///
/// # Errors
/// The database.
pub async fn over(executor: impl PgExecutor<'_>, position: Position) -> Result<Option<Seal>, sqlx::Error> {
    let over = concat!(
        "select ",
        columns!(),
        " from seals s where (s.log_epoch, s.transaction_id, s.position) >= ($1, $2::text::xid8, $3)
          order by s.log_epoch, s.transaction_id, s.position limit 1"
    );
    let query = sqlx::query(over).bind(position.epoch).bind(position.transaction.to_string()).bind(position.number);
    query.fetch_optional(executor).await?.as_ref().map(Seal::read).transpose()
}

/// Stores a seal.
///
/// # Errors
/// The database, or the batch has one.
pub async fn insert(executor: impl PgExecutor<'_>, seal: &Seal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into seals (batch, first_number, last_number, log_epoch, transaction_id, position, digest, chain, signature, key_id)
         values ($1, $2, $3, $4, $5::text::xid8, $6, $7, $8, $9, $10)",
    )
    .bind(seal.batch)
    .bind(seal.first_number)
    .bind(seal.last_number)
    .bind(seal.end.epoch)
    .bind(seal.end.transaction.to_string())
    .bind(seal.end.number)
    .bind(seal.digest.as_slice())
    .bind(seal.chain.as_slice())
    .bind(seal.signature.as_slice())
    .bind(&seal.key_id)
    .execute(executor)
    .await?;
    Ok(())
}
