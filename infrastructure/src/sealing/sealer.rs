//! The sealer: a batch a transaction, behind the horizon. Every node runs one; the lock of the transaction lets one
//! of them at it, and the key of the table keeps even a node that slept through its lock's end from sealing twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::chain;
use super::head_file::HeadFile;
use super::keys::{self, KeyError, SealKey};
use super::leaf::Leaves;
use super::reader::{self, CopyConnection, Until};
use super::seals::{self, BATCH_MAX, Seal};
use crate::security::secret_box::SecretBox;

/// How long events wait to be sealed, full batches aside: a second and the node's share of chance.
const EVERY_MS: std::ops::Range<u64> = 900..1_000;
/// A log that somebody sealed this recently has a sealer.
const FRESH: &str = "500 milliseconds";
/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Lets one sealer in, for the length of its transaction.
const LOCK: &str = "select pg_try_advisory_xact_lock(hashtextextended('flowbot/seals', 0))";

/// What one turn of the sealer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It sealed this many events.
    Sealed(i64),
    /// There is nothing to seal.
    Idle,
    /// Another one is at it.
    NotOurs,
}

/// Seals the log.
pub struct Sealer {
    pool: PgPool,
    secrets: SecretBox,
    key: OnceCell<SealKey>,
    head_file: Mutex<HeadFile>,
}

impl Sealer {
    /// A sealer whose key is sealed in `secrets`, and which keeps the newest head in `data_dir`.
    pub fn new(pool: PgPool, secrets: SecretBox, data_dir: &Path) -> Self {
        Self { pool, secrets, key: OnceCell::new(), head_file: Mutex::new(HeadFile::new(data_dir)) }
    }

    /// Seals one batch of what has come, if nobody else is at it.
    ///
    /// # Errors
    /// The key does not open, or the database; nothing of the turn remains.
    pub async fn turn(&self) -> Result<Turn, KeyError> {
        let key = self.key.get_or_try_init(|| keys::signing(&self.pool, &self.secrets)).await?;
        let mut connection = CopyConnection::acquire(&self.pool).await?;
        let turn = seal(&mut connection, key).await?;
        connection.give_back();
        Ok(turn)
    }

    /// Seals everything there is, batch after batch until one is not full; how many events.
    ///
    /// # Errors
    /// As [`Sealer::turn`]; what was sealed stays so.
    pub async fn seal_all(&self) -> Result<i64, KeyError> {
        self.seal_until(&CancellationToken::new()).await
    }

    async fn seal_until(&self, stop: &CancellationToken) -> Result<i64, KeyError> {
        let mut all = 0;
        while !stop.is_cancelled() {
            let Turn::Sealed(events) = self.turn().await? else { break };
            all += events;
            if events < BATCH_MAX {
                break;
            }
        }
        Ok(all)
    }

    /// Brings the file with the newest head up to date.
    ///
    /// # Errors
    /// The log does not have the file's head any more, or the file cannot be written.
    pub async fn keep_head(&self) -> anyhow::Result<()> {
        self.head_file.lock().await.follow(&self.pool).await
    }

    /// Seals until `stop`: once a second what has come, full batches one after the other.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.round(&stop).await {
                Ok(sealed) => {
                    metrics::counter!("sealed_events_total").increment(sealed.unsigned_abs());
                    self.head_file.lock().await.follow_now_and_then(&self.pool, sealed > 0).await;
                    Duration::from_millis(rand::rng().random_range(EVERY_MS))
                }
                Err(error) => {
                    tracing::warn!(%error, "The log could not be sealed");
                    AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn round(&self, stop: &CancellationToken) -> Result<i64, KeyError> {
        let fresh = "select exists (select from seals s where s.batch = (select max(batch) from seals)
                                       and s.sealed_at > clock_timestamp() - $1::interval)";
        let sealed_by_another = sqlx::query_scalar(fresh).bind(FRESH).fetch_one(&self.pool).await?;
        if sealed_by_another { Ok(0) } else { self.seal_until(stop).await }
    }
}

/// Seals one batch on a connection, if nobody else is at it.
async fn seal(connection: &mut PgConnection, key: &SealKey) -> Result<Turn, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !sqlx::query_scalar::<_, bool>(LOCK).fetch_one(&mut *transaction).await? {
        return Ok(Turn::NotOurs);
    }
    let last = seals::newest(&mut *transaction).await?.unwrap_or_else(Seal::genesis);
    let (mut leaves, mut hashes, mut end) = (Leaves::default(), Vec::new(), last.end);
    let events = reader::read(&mut transaction, last.end, Until::Horizon, BATCH_MAX, |event| {
        hashes.push(leaves.hash(event));
        end = event.position;
    });
    let events = events.await?;
    if events == 0 {
        return Ok(Turn::Idle);
    }
    let (batch, last_number, digest) = (last.batch + 1, last.last_number + events, chain::digest(&hashes));
    let chain = chain::link(&last.chain, &digest);
    let signature = key.sign(&chain::head_text(batch, last_number, &chain));
    let (first_number, key_id) = (last.last_number + 1, key.id.clone());
    let seal = Seal { batch, first_number, last_number, end, digest, chain, signature, key_id };
    if events == BATCH_MAX {
        // A full batch that a crash loses is sealed again to the same bytes: appends need not share the disk with it.
        sqlx::query("set local synchronous_commit = off").execute(&mut *transaction).await?;
    }
    seals::insert(&mut *transaction, &seal).await?;
    transaction.commit().await?;
    Ok(Turn::Sealed(events))
}
