//! An export a stranger can check: the account's events with their stored bytes, every batch's digest and link, the
//! leaves of the batches the events are in, and a signed manifest as the last line. One batch is in memory at a time.

use application::audit::{Head, Lines, Range, StoredEvent};
use application::error::{AppError, AppResult};
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::chain;
use super::keys::SealKey;
use super::leaf::{Hash, Leaves};
use super::reader::{self, CopyConnection, Until};
use super::seals::{self, BATCH_MAX, Seal};
use crate::postgres::app_error;

/// What the first line says of the file.
pub const FORMAT: &str = "flowbot-export-v1";
/// Seals read at a time.
const SEALS_AT_A_TIME: i64 = 100;

/// One line of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Line {
    /// The first one.
    Header {
        /// [`FORMAT`].
        format: String,
        /// The account.
        tenant: String,
        /// The first number asked for.
        from: i64,
        /// The last number asked for, or the last one there was.
        to: i64,
        /// When it was made.
        exported_at: DateTime<Utc>,
        /// The key everything is signed with.
        key_id: String,
        /// Its public half, in hex.
        public_key: String,
    },
    /// A batch; its events follow.
    Batch {
        /// The batch.
        batch: i64,
        /// The number of its first event.
        first_number: i64,
        /// The number of its last event.
        last_number: i64,
        /// sha256 over its leaves.
        digest: String,
        /// The chain before it.
        previous_chain: String,
        /// The chain with it.
        chain: String,
        /// Ed25519 over batch, last number and chain.
        signature: String,
        /// The key it was signed with.
        key_id: String,
        /// The leaves, when one of the events is the account's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leaves: Option<Vec<String>>,
    },
    /// An event of the account.
    Event {
        /// Its dense number.
        number: i64,
        /// Its bytes.
        #[serde(flatten)]
        event: StoredEvent,
    },
    /// The last one.
    Manifest(Manifest),
}

/// What an export comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Lines of batches.
    pub batches: i64,
    /// Lines of events.
    pub events: i64,
    /// sha256 of every byte before this line, in hex.
    pub sha256: String,
    /// The seal of the last batch; none when there is no batch.
    pub head: Option<Head>,
    /// The key everything is signed with.
    pub key_id: String,
    /// Its public half, in hex.
    pub public_key: String,
    /// Ed25519 over hash and counts, in hex.
    pub signature: String,
}

/// Lines on their way, hashed and counted.
struct Writer<'a> {
    lines: &'a mut dyn Lines,
    hash: Sha256,
    batches: i64,
    events: i64,
}

impl Writer<'_> {
    async fn write(&mut self, lines: &[Line]) -> AppResult<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line).map_err(AppError::internal)?);
            text.push('\n');
            self.batches += i64::from(matches!(line, Line::Batch { .. }));
            self.events += i64::from(matches!(line, Line::Event { .. }));
        }
        self.hash.update(&text);
        self.lines.take(text).await
    }
}

/// Writes the account's events of the range. The range ends where the seals end.
///
/// # Errors
/// The database, or nobody reads any more: there is no manifest then.
pub async fn export(
    pool: &PgPool,
    key: &SealKey,
    (tenant, exported_at): (TenantId, DateTime<Utc>),
    range: Range,
    lines: &mut dyn Lines,
) -> AppResult<()> {
    let sealed = seals::newest(pool).await.map_err(app_error)?.map_or(0, |seal| seal.last_number);
    let (from, to) = (range.from.unwrap_or(1), range.to.unwrap_or(sealed).min(sealed));
    let mut writer = Writer { lines, hash: Sha256::new(), batches: 0, events: 0 };
    let tenant = tenant.to_string();
    let (key_id, public_key) = (key.id.clone(), key.public_hex());
    writer
        .write(&[Line::Header {
            format: FORMAT.to_owned(),
            tenant: tenant.clone(),
            from,
            to,
            exported_at,
            key_id: key_id.clone(),
            public_key: public_key.clone(),
        }])
        .await?;
    let mut before = start(pool, from).await.map_err(app_error)?;
    'pages: while before.last_number < to {
        let page = seals::after(pool, before.batch, SEALS_AT_A_TIME).await.map_err(app_error)?;
        if page.is_empty() {
            return Err(AppError::internal("seals vanished during an export"));
        }
        for seal in page {
            let read = batch(pool.clone(), before, seal.clone(), tenant.clone(), (from, to));
            // A task of its own: see the reader. Its connection is back before anybody waits for the client.
            let read = tokio::spawn(read).await.map_err(AppError::internal)?;
            writer.write(&read.map_err(app_error)?).await?;
            before = seal;
            if before.last_number >= to {
                break 'pages;
            }
        }
    }
    let head = (writer.batches > 0).then(|| before.head());
    let (sha256, batches, events) = (hex::encode(writer.hash.clone().finalize()), writer.batches, writer.events);
    let signature = hex::encode(key.sign(&chain::manifest_text(&sha256, events, batches)));
    writer.write(&[Line::Manifest(Manifest { batches, events, sha256, head, key_id, public_key, signature })]).await
}

/// The seal before the first batch of the range.
async fn start(pool: &PgPool, from: i64) -> Result<Seal, sqlx::Error> {
    let batch = seals::batch_before(pool, from).await?;
    Ok(seals::of_batch(pool, batch).await?.unwrap_or_else(Seal::genesis))
}

/// A batch's line and those of the account's events in it.
async fn batch(
    pool: PgPool,
    before: Seal,
    seal: Seal,
    tenant: String,
    (from, to): (i64, i64),
) -> Result<Vec<Line>, sqlx::Error> {
    let mut connection = CopyConnection::acquire(&pool).await?;
    let (mut leaves, mut hashes, mut own) = (Leaves::default(), Vec::<Hash>::new(), Vec::new());
    let mut number = seal.first_number;
    let all = reader::read(&mut connection, before.end, Until::Position(seal.end), BATCH_MAX, |event| {
        hashes.push(leaves.hash(event));
        if event.tenant == tenant.as_bytes() && (from..=to).contains(&number) {
            own.push((number, event.shown()));
        }
        number += 1;
    });
    all.await?;
    connection.give_back();
    let mut lines = vec![Line::Batch {
        batch: seal.batch,
        first_number: seal.first_number,
        last_number: seal.last_number,
        digest: hex::encode(seal.digest),
        previous_chain: hex::encode(before.chain),
        chain: hex::encode(seal.chain),
        signature: hex::encode(&seal.signature),
        key_id: seal.key_id,
        leaves: (!own.is_empty()).then(|| hashes.iter().map(hex::encode).collect()),
    }];
    for (number, event) in own {
        let event = event.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        lines.push(Line::Event { number, event });
    }
    Ok(lines)
}
