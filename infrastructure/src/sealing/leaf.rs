//! The hash of one event: sha256 over its ten stored fields, each as a netstring (`<bytes>:<text>,`), which no
//! content can make look like another event's.

use std::io::Write;

use application::audit::StoredEvent;
use application::log::Position;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A sha256.
pub type Hash = [u8; 32];

/// An event as the log holds it, its texts borrowed from what the database sent.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Where it stands.
    pub position: Position,
    /// The aggregate's type.
    pub aggregate_type: &'a [u8],
    /// The stream.
    pub aggregate_id: &'a [u8],
    /// Its number in the stream.
    pub sequence: i64,
    /// Stable tag.
    pub event_type: &'a [u8],
    /// Version of its shape.
    pub event_version: &'a [u8],
    /// Its own id.
    pub event_id: Uuid,
    /// When the log took it in, in microseconds since 1970.
    pub recorded_at_micros: i64,
    /// Its JSON.
    pub payload: &'a [u8],
    /// Actor, correlation, causation.
    pub metadata: &'a [u8],
    /// Whose it is.
    pub tenant: &'a [u8],
}

/// Hashes event after event without asking for memory.
#[derive(Default)]
pub struct Leaves {
    head: Vec<u8>,
    number: Vec<u8>,
}

impl Leaves {
    /// The event's leaf.
    pub fn hash(&mut self, event: &Stored<'_>) -> Hash {
        self.head.clear();
        self.text(&event.position);
        self.field(event.aggregate_type);
        self.field(event.aggregate_id);
        self.text(&event.sequence);
        self.field(event.event_type);
        self.field(event.event_version);
        self.text(&event.event_id);
        self.text(&event.recorded_at_micros);
        self.size(event.payload);
        let mut hash = Sha256::new();
        hash.update(&self.head);
        hash.update(event.payload);
        self.head.clear();
        self.head.push(b',');
        self.field(event.metadata);
        hash.update(&self.head);
        hash.finalize().into()
    }

    fn text(&mut self, value: &impl std::fmt::Display) {
        let mut number = std::mem::take(&mut self.number);
        number.clear();
        // Writing to memory does not fail.
        drop(write!(number, "{value}"));
        self.field(&number);
        self.number = number;
    }

    fn field(&mut self, bytes: &[u8]) {
        self.size(bytes);
        self.head.extend_from_slice(bytes);
        self.head.push(b',');
    }

    fn size(&mut self, bytes: &[u8]) {
        drop(write!(self.head, "{}:", bytes.len()));
    }
}

/// The leaf of an event somebody shows.
///
/// # Errors
/// Its position or its id is none.
pub fn of_shown(event: &StoredEvent) -> Result<Hash, String> {
    let stored = Stored {
        position: event.position.parse()?,
        aggregate_type: event.aggregate_type.as_bytes(),
        aggregate_id: event.aggregate_id.as_bytes(),
        sequence: event.sequence,
        event_type: event.event_type.as_bytes(),
        event_version: event.event_version.as_bytes(),
        event_id: event.event_id.parse().map_err(|_| format!("`{}` is no id", event.event_id))?,
        recorded_at_micros: event.recorded_at_micros,
        payload: event.payload.as_bytes(),
        metadata: event.metadata.as_bytes(),
        tenant: &[],
    };
    Ok(Leaves::default().hash(&stored))
}

impl Stored<'_> {
    /// The event to show.
    ///
    /// # Errors
    /// The database holds text that is no UTF-8.
    pub fn shown(&self) -> Result<StoredEvent, std::str::Utf8Error> {
        let text = |bytes| std::str::from_utf8(bytes).map(str::to_owned);
        Ok(StoredEvent {
            position: self.position.to_string(),
            aggregate_type: text(self.aggregate_type)?,
            aggregate_id: text(self.aggregate_id)?,
            sequence: self.sequence,
            event_type: text(self.event_type)?,
            event_version: text(self.event_version)?,
            event_id: self.event_id.to_string(),
            recorded_at_micros: self.recorded_at_micros,
            payload: text(self.payload)?,
            metadata: text(self.metadata)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Stored<'static> {
        Stored {
            position: Position { epoch: 1, transaction: 745, number: 3 },
            aggregate_type: b"lead",
            aggregate_id: b"t/1",
            sequence: 2,
            event_type: b"lead.captured",
            event_version: b"1",
            event_id: Uuid::nil(),
            recorded_at_micros: 5,
            payload: b"{}",
            metadata: b"{\"a\":1}",
            tenant: b"t",
        }
    }

    #[test]
    fn a_leaf_is_the_hash_of_ten_netstrings() {
        let text = "7:1-745-3,4:lead,3:t/1,1:2,13:lead.captured,1:1,36:00000000-0000-0000-0000-000000000000,1:5,2:{},7:{\"a\":1},";
        let expected: Hash = Sha256::digest(text).into();
        let mut leaves = Leaves::default();
        assert_eq!(leaves.hash(&event()), expected);
        assert_eq!(leaves.hash(&event()), expected, "what was hashed before leaves no trace");
        assert_eq!(of_shown(&event().shown().unwrap()), Ok(expected));
    }

    #[test]
    fn no_content_looks_like_another_events() {
        let mut leaves = Leaves::default();
        let (one, other) = (
            Stored { event_type: b"a,1:b", event_version: b"c", ..event() },
            Stored { event_type: b"a", event_version: b"b,1:c", ..event() },
        );
        assert_ne!(leaves.hash(&one), leaves.hash(&other));
        let moved = Stored { payload: b"{}{", metadata: b"}", ..event() };
        assert_ne!(leaves.hash(&moved), leaves.hash(&Stored { payload: b"{}", metadata: b"{}", ..event() }));
    }
}
