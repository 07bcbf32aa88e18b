//! How an event about a person stands in the log: as it reads without the person, and beside that, sealed, as it was
//! written. `{"$sealed": "<contact>.<base64>", …}`: whoever has no key reads what is left.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cqrs_es::DomainEvent;
use domain::personal::Personal;
use domain::shared::ids::{ContactId, StreamId};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

use crate::event_store::append::NewEvent;
use crate::event_store::keys::ContactKey;

/// The member that holds what is sealed.
const MEMBER: &str = "$sealed";

/// Something sealed with a contact's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whose key.
    pub contact: ContactId,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// As text.
    pub fn text(&self) -> String {
        format!("{}.{}", self.contact.0.simple(), STANDARD_NO_PAD.encode(&self.bytes))
    }

    /// Reads what [`Sealed::text`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let (contact, bytes) = text.split_once('.')?;
        let contact = ContactId(uuid::Uuid::try_parse(contact).ok()?);
        Some(Self { contact, bytes: STANDARD_NO_PAD.decode(bytes).ok()? })
    }

    /// As the only member of a JSON object.
    pub fn json(&self) -> Value {
        serde_json::json!({ MEMBER: self.text() })
    }
}

/// The sealed part of stored JSON, if it has one.
pub fn part_of(json: &str) -> Option<Sealed> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(rename = "$sealed", borrow)]
        sealed: Option<Cow<'a, str>>,
    }
    // Most of what is not sealed is told without reading it.
    if !json.contains(MEMBER) {
        return None;
    }
    let part: Part<'_> = serde_json::from_str(json).ok()?;
    Sealed::read(&part.sealed?)
}

/// Stored JSON without its sealed part: what can be read without the key.
///
/// # Errors
/// It is no JSON.
pub fn left_in(json: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    let mut left: Value = serde_json::from_str(json.get())?;
    if let Value::Object(members) = &mut left {
        members.remove(MEMBER);
    }
    to_raw_value(&left)
}

/// What the sealed part of an event is bound to.
pub fn event_place(aggregate_type: &str, stream: &str, sequence: i64) -> String {
    format!("{aggregate_type}/{stream}/{sequence}")
}

/// What a sealed snapshot is bound to.
pub fn snapshot_place(aggregate_type: &str, stream: &str, sequence: i64) -> String {
    format!("snapshot/{}", event_place(aggregate_type, stream, sequence))
}

/// An event as it is stored. Without a key, and when it is about nobody, it stands as it is.
///
/// # Errors
/// It is no JSON.
pub fn stored<A: Personal>(
    event: &A::Event,
    key: Option<&ContactKey>,
    stream: &StreamId,
    sequence: i64,
) -> Result<NewEvent, serde_json::Error> {
    let payload = match (key, key.and_then(|_| A::without_person(event))) {
        (Some(key), Some(left)) => {
            let whole = key.seal(&serde_json::to_vec(event)?, &event_place(A::TYPE, &stream.to_string(), sequence));
            let mut payload = serde_json::to_value(&left)?;
            payload[MEMBER] = Value::String(whole.text());
            payload.to_string()
        }
        (Some(_) | None, _) => serde_json::to_string(event)?,
    };
    Ok(NewEvent { event_type: event.event_type(), event_version: event.event_version(), payload })
}
