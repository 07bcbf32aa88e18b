//! Walking the log along its seals: every leaf, digest, link and signature made again. It ends at the first batch
//! that is not as it was sealed, and names it.

use std::collections::HashMap;
use std::sync::Arc;

use application::audit::{BadBatch, Head, Range, Verification};
use application::log::Position;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::chain;
use super::keys;
use super::leaf::{Leaves, Stored};
use super::reader::{self, CopyConnection, Until};
use super::seals::{self, BATCH_MAX, Seal};
use crate::security::secret_box::SecretBox;

/// Seals of a page at most.
const SEALS_MAX: i64 = 256;
/// Events of a page, about: what one statement reads, well below its time limit.
const EVENTS_ABOUT: i64 = 20_000;

/// The keys signatures are checked with.
type Keys = Arc<HashMap<String, VerifyingKey>>;

/// Recomputes the batches the range touches. With `secrets`, only keys count that open under the master key; with
/// `head`, the log has to have that head.
///
/// # Errors
/// The database; nothing is said about the log then.
pub async fn verify(
    pool: &PgPool,
    secrets: Option<&SecretBox>,
    range: Range,
    head: Option<&Head>,
) -> Result<Verification, sqlx::Error> {
    let keys: Keys = Arc::new(keys::trusted(pool, secrets).await?);
    let newest = seals::newest(pool).await?;
    let to = match range.to {
        Some(number) => seals::batch_before(pool, number).await?.saturating_add(1),
        None => i64::MAX,
    };
    let to = to.min(newest.as_ref().map_or(0, |seal| seal.batch));
    let mut done = match range.from {
        Some(number) if number > 1 => anchor(pool, seals::batch_before(pool, number).await?, &keys).await?,
        _ => Ok(Seal::genesis()),
    };
    let mut batches = 0;
    while let Ok(before) = &done
        && before.batch < to
    {
        let page = page(pool, before, to).await?;
        let (pool, keys, before) = (pool.clone(), Arc::clone(&keys), before.clone());
        // A task of its own: dropping this future must not leave a connection in the middle of a stream.
        let walked = tokio::spawn(async move { walk(&pool, before, page, &keys).await }).await;
        let (walked, good) = walked.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))??;
        batches += good;
        done = walked;
    }
    let bad = match (done.err(), head) {
        (Some(bad), _) => Some(bad),
        (None, Some(head)) => against(pool, head, newest.as_ref()).await?,
        (None, None) => None,
    };
    let public = newest.as_ref().and_then(|seal| keys.get(&seal.key_id)).map(|key| hex::encode(key.as_bytes()));
    Ok(Verification {
        sealed_to: newest.as_ref().map_or(0, |seal| seal.last_number),
        batches,
        bad,
        head: newest.map(|seal| seal.head()),
        public_key: public,
    })
}

fn bad(batch: i64, reason: impl Into<String>) -> BadBatch {
    BadBatch { batch, reason: reason.into() }
}

/// The seal a walk in the middle stands on: its signature vouches for what is before.
async fn anchor(pool: &PgPool, batch: i64, keys: &Keys) -> Result<Result<Seal, BadBatch>, sqlx::Error> {
    if batch == 0 {
        return Ok(Ok(Seal::genesis()));
    }
    Ok(match seals::of_batch(pool, batch).await? {
        None => Err(bad(batch, "its seal is missing")),
        Some(seal) => signed(&seal, keys).map(|()| seal),
    })
}

/// The next seals, of about as many events as one statement should read.
async fn page(pool: &PgPool, before: &Seal, to: i64) -> Result<Vec<Seal>, sqlx::Error> {
    let mut page = seals::after(pool, before.batch, SEALS_MAX).await?;
    let mut events = 0_i64;
    let wanted = page.iter().take_while(|seal| {
        let take = seal.batch <= to && events < EVENTS_ABOUT;
        events += seal.events();
        take
    });
    let wanted = wanted.count().max(1);
    page.truncate(wanted);
    Ok(page)
}

/// Checks a page of seals against the events. The last seal that holds or the first that does not, and how many hold.
async fn walk(
    pool: &PgPool,
    before: Seal,
    page: Vec<Seal>,
    keys: &Keys,
) -> Result<(Result<Seal, BadBatch>, i64), sqlx::Error> {
    let Some(last) = page.last().map(|seal| seal.end) else {
        return Ok((Err(bad(before.batch + 1, "its seal is missing")), 0));
    };
    let limit = page.iter().map(|seal| seal.events().clamp(0, BATCH_MAX)).sum::<i64>() + 1;
    let after = before.end;
    let mut walk = Walk::new(before, page, keys);
    let mut connection = CopyConnection::acquire(pool).await?;
    reader::read(&mut connection, after, Until::Position(last), limit, |event| walk.event(event)).await?;
    connection.give_back();
    walk.finish();
    Ok((walk.bad.map_or(Ok(walk.before), Err), walk.good))
}

/// Where a walk stands.
struct Walk<'a> {
    before: Seal,
    seals: std::iter::Peekable<std::vec::IntoIter<Seal>>,
    keys: &'a Keys,
    leaves: Leaves,
    digest: Sha256,
    events: i64,
    end: Position,
    good: i64,
    bad: Option<BadBatch>,
}

impl<'a> Walk<'a> {
    fn new(before: Seal, seals: Vec<Seal>, keys: &'a Keys) -> Self {
        Self {
            end: before.end,
            before,
            seals: seals.into_iter().peekable(),
            keys,
            leaves: Leaves::default(),
            digest: Sha256::new(),
            events: 0,
            good: 0,
            bad: None,
        }
    }

    fn event(&mut self, event: &Stored<'_>) {
        while self.bad.is_none() && self.seals.peek().is_some_and(|seal| seal.end < event.position) {
            self.close();
        }
        if self.bad.is_none() {
            self.digest.update(self.leaves.hash(event));
            self.events += 1;
            self.end = event.position;
            if !belongs(event) {
                let batch = self.before.batch + 1;
                self.bad = Some(bad(batch, format!("the account of event {} is not its stream's", event.event_id)));
            }
        }
    }

    fn finish(&mut self) {
        while self.bad.is_none() && self.seals.peek().is_some() {
            self.close();
        }
    }

    /// Holds what was read since the last seal against the next one.
    fn close(&mut self) {
        let Some(seal) = self.seals.next() else { return };
        let digest = std::mem::take(&mut self.digest).finalize().into();
        let events = std::mem::take(&mut self.events);
        let before = &self.before;
        let found = if seal.batch != before.batch + 1 {
            Err(bad(before.batch + 1, "its seal is missing"))
        } else if seal.first_number != before.last_number + 1 || events != seal.events() {
            let sealed = seal.last_number.saturating_sub(before.last_number);
            Err(bad(seal.batch, format!("the log holds {events} events where {sealed} were sealed")))
        } else if seal.end != self.end {
            Err(bad(seal.batch, "its last event is not the one that was sealed"))
        } else if seal.digest != digest {
            Err(bad(seal.batch, "its events are not those that were sealed"))
        } else if seal.chain != chain::link(&before.chain, &digest) {
            Err(bad(seal.batch, "its seal does not follow from the one before"))
        } else {
            signed(&seal, self.keys)
        };
        match found {
            Ok(()) => {
                self.before = seal;
                self.good += 1;
            }
            Err(bad) => self.bad = Some(bad),
        }
    }
}

/// Whether the account's column says what the stream says: lists are made by it, and it is in no hash.
fn belongs(event: &Stored<'_>) -> bool {
    event.aggregate_id.split(|byte| *byte == b'/').next() == Some(event.tenant)
}

fn signed(seal: &Seal, keys: &Keys) -> Result<(), BadBatch> {
    let Some(key) = keys.get(&seal.key_id) else {
        return Err(bad(seal.batch, format!("its seal names the key {}, which is none of ours", seal.key_id)));
    };
    let text = chain::head_text(seal.batch, seal.last_number, &seal.chain);
    if chain::is_signed(key, &text, &seal.signature) {
        Ok(())
    } else {
        Err(bad(seal.batch, "the signature of its seal is wrong"))
    }
}

/// Holds the log against a head somebody kept.
async fn against(pool: &PgPool, head: &Head, newest: Option<&Seal>) -> Result<Option<BadBatch>, sqlx::Error> {
    let sealed = newest.map_or(0, |seal| seal.batch);
    if head.batch > sealed {
        let reason = format!("its seal is missing: a head was kept of batch {}, event {}", head.batch, head.number);
        return Ok(Some(bad(sealed + 1, reason)));
    }
    Ok(match seals::of_batch(pool, head.batch).await? {
        Some(seal) if seal.head().chain == head.chain && seal.last_number == head.number => None,
        Some(_) => Some(bad(head.batch, "its seal is another than the head that was kept of it")),
        None => Some(bad(head.batch, "its seal is missing")),
    })
}
