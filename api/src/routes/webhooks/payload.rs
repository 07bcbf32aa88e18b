//! What a flow's trigger is called with.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::routes::body::without_null;

/// An object, and the names of its members in the order they came.
#[derive(Debug, PartialEq)]
pub struct Payload {
    /// The names.
    pub names: Vec<String>,
    /// The members.
    pub members: Map<String, Value>,
}

impl Payload {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object, or holds the null character.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let unread = |error| ApiError::invalid("invalid_request", format!("the body must be a JSON object: {error}"));
        let members: Value = serde_json::from_slice(body).map_err(unread)?;
        without_null(&members)?;
        let members = serde_json::from_value(members).map_err(unread)?;
        let Names(names) = serde_json::from_slice(body).map_err(unread)?;
        Ok(Self { names, members })
    }
}

/// The names of an object's members.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_order() {
        let payload = Payload::read(br#"{"phone": "+1", "name": {"b": 1}, "email": null, "a": []}"#).unwrap();
        assert_eq!(payload.names, ["phone", "name", "email", "a"]);
        assert_eq!(payload.members.len(), 4);
    }

    #[test]
    fn only_objects_are_payloads() {
        for body in ["", "[]", "7", "{", r#"{"a": "\u0000"}"#] {
            assert_eq!(Payload::read(body.as_bytes()).unwrap_err().status.as_u16(), 400, "{body}");
        }
    }
}
