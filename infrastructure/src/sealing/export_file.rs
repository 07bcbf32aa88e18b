//! Checking an export without the database: leaves, digests, links, signatures, counts and the manifest.

use std::io::BufRead;

use application::audit::{Head, StoredEvent};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use super::chain::{self, GENESIS};
use super::export::{FORMAT, Line, Manifest};
use super::keys;
use super::leaf::{self, Hash};

/// Why an export is not valid.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("the export cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line is none of an export's, or is not where it belongs.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// In words.
        reason: String,
    },
    /// A batch does not hold what it was sealed with.
    #[error("batch {batch}: {reason}")]
    Batch {
        /// The batch.
        batch: i64,
        /// In words.
        reason: String,
    },
    /// The end is missing: the transfer broke.
    #[error("the export has no manifest at its end: it is not whole")]
    Cut,
    /// The manifest does not fit.
    #[error("the manifest: {0}")]
    Manifest(String),
}

/// A batch's line, read.
struct Batch {
    batch: i64,
    first_number: i64,
    last_number: i64,
    chain: Hash,
    head: Head,
    leaves: Option<Vec<Hash>>,
}

/// What was read so far.
#[derive(Default)]
struct Check {
    tenant: String,
    wanted: (i64, i64),
    key: Option<(String, VerifyingKey)>,
    batches: i64,
    events: i64,
    number: i64,
    last: Option<Batch>,
}

/// Checks an export line by line, and answers its manifest.
///
/// The file comes with the key it is to be checked with: whether that is FlowBot's, only somebody who knows the key
/// can say, so compare the manifest's public key with the one you were given.
///
/// # Errors
/// It is not as it was sent, or not whole.
pub fn check(mut export: impl BufRead) -> Result<Manifest, ExportError> {
    let (mut check, mut hash, mut text, mut line) = (Check::default(), Sha256::new(), String::new(), 0);
    loop {
        text.clear();
        line += 1;
        if export.read_line(&mut text)? == 0 {
            return Err(ExportError::Cut);
        }
        let wrong = |reason: String| ExportError::Line { line, reason };
        let read: Line =
            serde_json::from_str(&text).map_err(|error| wrong(format!("is no line of an export: {error}")))?;
        if let Line::Manifest(manifest) = read {
            let more = !export.fill_buf()?.is_empty();
            check.manifest(&manifest, &hex::encode(hash.finalize()))?;
            return if more {
                Err(ExportError::Line { line: line + 1, reason: "comes after the manifest".to_owned() })
            } else {
                Ok(manifest)
            };
        }
        hash.update(&text);
        check.line(read, line).map_err(|error| match error {
            Wrong::Line(reason) => wrong(reason),
            Wrong::Batch(batch, reason) => ExportError::Batch { batch, reason },
        })?;
    }
}

enum Wrong {
    Line(String),
    Batch(i64, String),
}

fn hash(text: &str) -> Result<Hash, Wrong> {
    let mut hash = Hash::default();
    hex::decode_to_slice(text, &mut hash).map_err(|_| Wrong::Line(format!("`{text}` is no hash")))?;
    Ok(hash)
}

impl Check {
    fn line(&mut self, line: Line, at: u64) -> Result<(), Wrong> {
        match line {
            Line::Header { format, tenant, from, to, key_id, public_key, .. } if at == 1 => {
                if format != FORMAT {
                    return Err(Wrong::Line(format!("the format is {format}, not {FORMAT}")));
                }
                let key = VerifyingKey::from_bytes(&hash(&public_key)?).ok();
                let key = key.filter(|key| key_id == keys::id_of(key.as_bytes()));
                let key = key.ok_or_else(|| Wrong::Line("its public key is none".to_owned()))?;
                (self.tenant, self.wanted, self.key) = (tenant, (from, to), Some((key_id, key)));
                Ok(())
            }
            _ if at == 1 => Err(Wrong::Line("an export begins with its header".to_owned())),
            Line::Batch {
                batch,
                first_number,
                last_number,
                digest,
                previous_chain,
                chain,
                signature,
                key_id,
                leaves,
            } => {
                let leaves =
                    leaves.map(|all| all.iter().map(|leaf| hash(leaf)).collect::<Result<Vec<_>, _>>()).transpose()?;
                let head = Head { batch, number: last_number, chain: chain.clone(), signature, key_id };
                let next = Batch { batch, first_number, last_number, chain: hash(&chain)?, head, leaves };
                self.batch(next, &hash(&digest)?, &hash(&previous_chain)?)
            }
            Line::Event { number, event } => self.event(number, &event),
            Line::Header { .. } | Line::Manifest(_) => Err(Wrong::Line("a second header".to_owned())),
        }
    }

    fn event(&mut self, number: i64, event: &StoredEvent) -> Result<(), Wrong> {
        self.events += 1;
        let leaf = leaf::of_shown(event).map_err(Wrong::Line)?;
        let Some(batch) = &self.last else { return Err(Wrong::Line("an event before any batch".to_owned())) };
        let wrong = |reason: &str| Err(Wrong::Batch(batch.batch, format!("event {number} {reason}")));
        let place = number.checked_sub(batch.first_number).and_then(|place| usize::try_from(place).ok());
        let sealed = batch.leaves.as_ref().zip(place).and_then(|(leaves, place)| leaves.get(place));
        if number <= self.number {
            return wrong("is out of order");
        }
        if sealed != Some(&leaf) {
            return wrong("is not the one that was sealed");
        }
        if event.aggregate_id.split('/').next() != Some(self.tenant.as_str()) {
            return wrong("is another account's");
        }
        self.number = number;
        Ok(())
    }

    fn is_signed(&self, text: &str, signature: &str) -> bool {
        let signature = hex::decode(signature).unwrap_or_default();
        self.key.as_ref().is_some_and(|(_, key)| chain::is_signed(key, text, &signature))
    }

    fn batch(&mut self, next: Batch, digest: &Hash, before: &Hash) -> Result<(), Wrong> {
        let wrong = |reason: &str| Err(Wrong::Batch(next.batch, reason.to_owned()));
        match &self.last {
            Some(last) if next.batch != last.batch + 1 || next.first_number != last.last_number + 1 => {
                return Err(Wrong::Batch(last.batch + 1, "is missing".to_owned()));
            }
            Some(last) if *before != last.chain => return wrong("does not follow from the batch before"),
            None if next.first_number > self.wanted.0 => return wrong("is not the first one of the range"),
            None if next.batch == 1 && *before != GENESIS => return wrong("does not begin the chain"),
            Some(_) | None => {}
        }
        let leaves_lead_there = next.leaves.as_ref().is_none_or(|leaves| {
            let events = next.last_number.checked_sub(next.first_number - 1);
            chain::digest(leaves) == *digest && i64::try_from(leaves.len()).ok() == events
        });
        if !leaves_lead_there {
            return wrong("its leaves do not lead to its digest");
        }
        if chain::link(before, digest) != next.chain {
            return wrong("its digest does not lead to its chain");
        }
        let text = chain::head_text(next.batch, next.last_number, &next.chain);
        let ours = self.key.as_ref().is_some_and(|(id, _)| *id == next.head.key_id);
        if !ours || !self.is_signed(&text, &next.head.signature) {
            return wrong("the signature of its seal is wrong");
        }
        self.batches += 1;
        self.last = Some(next);
        Ok(())
    }

    fn manifest(&self, manifest: &Manifest, sha256: &str) -> Result<(), ExportError> {
        let wrong = |reason: &str| Err(ExportError::Manifest(reason.to_owned()));
        if manifest.sha256 != sha256 {
            return wrong("the bytes before it are others");
        }
        if (manifest.batches, manifest.events) != (self.batches, self.events) {
            return wrong("it counts other lines");
        }
        if manifest.head.as_ref() != self.last.as_ref().map(|batch| &batch.head) {
            return wrong("its head is not the last batch");
        }
        let reached = self.last.as_ref().map_or(self.wanted.0 - 1, |batch| batch.last_number);
        if reached < self.wanted.1 {
            return wrong("the batches end before the range does");
        }
        let key = self.key.as_ref().map(|(id, key)| (id.as_str(), hex::encode(key.as_bytes())));
        if key != Some((manifest.key_id.as_str(), manifest.public_key.clone())) {
            return wrong("its key is not the header's");
        }
        let text = chain::manifest_text(&manifest.sha256, manifest.events, manifest.batches);
        if self.is_signed(&text, &manifest.signature) { Ok(()) } else { wrong("its signature is wrong") }
    }
}
