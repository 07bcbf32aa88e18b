//! Proof that the log is as it was: what a seal vouches for, and the port that checks and exports it.

pub mod entries;

use async_trait::async_trait;
use domain::shared::ids::TenantId;
use serde::{Deserialize, Serialize};

use crate::error::AppResult;

/// Dense numbers of events, both ends included; an open end is the log's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The first one.
    pub from: Option<i64>,
    /// The last one.
    pub to: Option<i64>,
}

/// The newest seal somebody knows: enough to find out later that the log, seals and all, was cut or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "SealHead"))]
pub struct Head {
    /// The batch, from 1.
    pub batch: i64,
    /// The number of its last event.
    pub number: i64,
    /// Its link of the chain, in hex.
    pub chain: String,
    /// The Ed25519 signature of its head, in hex.
    pub signature: String,
    /// The key it was signed with.
    pub key_id: String,
}

/// What a walk over the log came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The number of the last sealed event.
    pub sealed_to: i64,
    /// Batches recomputed.
    pub batches: i64,
    /// The first batch that is not as it was sealed, and why.
    pub bad: Option<BadBatch>,
    /// The newest seal; none while nothing was sealed.
    pub head: Option<Head>,
    /// The Ed25519 public key seals are signed with, in hex; none while nothing was sealed.
    pub public_key: Option<String>,
}

/// A batch that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBatch {
    /// The batch.
    pub batch: i64,
    /// In words.
    pub reason: String,
}

/// An event with its bytes as the log holds them: the fields its hash is made of, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "StoredEvent"))]
pub struct StoredEvent {
    /// Where it stands in the log: the token histories show.
    pub position: String,
    /// The aggregate's type.
    pub aggregate_type: String,
    /// Its stream, as `<tenant>/<id>`.
    pub aggregate_id: String,
    /// Its number in the stream, from 1.
    pub sequence: i64,
    /// Stable tag.
    pub event_type: String,
    /// Version of its shape.
    pub event_version: String,
    /// Its own id.
    pub event_id: String,
    /// When the log took it in, in microseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_micros: i64,
    /// Its JSON, as a text of exactly the stored bytes.
    pub payload: String,
    /// Actor, correlation and causation, as a text of exactly the stored bytes.
    pub metadata: String,
}

/// Proof that one event is in the sealed log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "InclusionProof"))]
pub struct Inclusion {
    /// Its dense number, from 1.
    pub number: i64,
    /// The event.
    pub event: StoredEvent,
    /// Its hash, in hex.
    pub leaf: String,
    /// Its batch.
    pub batch: i64,
    /// Its place in `leaves`, from 0.
    pub index: i64,
    /// The hashes of the batch's events in order, in hex.
    pub leaves: Vec<String>,
    /// The chain before the batch, in hex; 32 zero bytes before the first one.
    pub previous_chain: String,
    /// The chain with the batch, in hex.
    pub chain: String,
    /// The number of the batch's last event: it is signed, too.
    pub last_number: i64,
    /// The Ed25519 signature over batch, last number and chain, in hex.
    pub signature: String,
    /// The key it was signed with.
    pub key_id: String,
}

/// Where an export goes, line by line.
#[async_trait]
pub trait Lines: Send {
    /// Takes whole lines, each with its end.
    ///
    /// # Errors
    /// Nobody reads any more.
    async fn take(&mut self, lines: String) -> AppResult<()>;
}

/// Checks and shows what the seals vouch for.
#[async_trait]
pub trait Proofs: Send + Sync {
    /// Recomputes the batches the range touches; one walk over the whole log at a time.
    ///
    /// # Errors
    /// The range is none, or the database.
    async fn verify(&self, range: Range) -> AppResult<Verification>;

    /// The proof for one event of the account, named by its id or its position.
    ///
    /// # Errors
    /// The account has no such event, it is not sealed yet, or the database.
    async fn inclusion(&self, tenant: TenantId, event: &str) -> AppResult<Inclusion>;

    /// Writes the account's events of the range, with what a stranger needs to check them. Only an export that
    /// ends with its manifest is whole.
    ///
    /// # Errors
    /// The range is none, the database, or nobody reads any more.
    async fn export(&self, tenant: TenantId, range: Range, lines: &mut dyn Lines) -> AppResult<()>;
}
