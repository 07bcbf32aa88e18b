//! The ports time and ids come through.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The clock.
pub trait Clock: Send + Sync {
    /// Now, in whole milliseconds.
    fn now(&self) -> DateTime<Utc>;
}

/// A source of ids.
pub trait NewId: Send + Sync {
    /// A fresh id, greater than those before it (UUIDv7, RFC 9562).
    fn new_id(&self) -> Uuid;
}

/// An instant in views: RFC 3339 with milliseconds and `Z`, whose texts sort as the instants do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(pub DateTime<Utc>);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    }
}

impl serde::Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::<Utc>::deserialize(deserializer).map(Self)
    }
}

impl From<DateTime<Utc>> for Stamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use std::borrow::Cow;

    use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
    use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
    use serde_json::Value;

    use super::Stamp;

    impl Type for Stamp {
        const IS_REQUIRED: bool = true;
        type RawValueType = Self;
        type RawElementValueType = Self;

        fn name() -> Cow<'static, str> {
            "string_date-time".into()
        }

        fn schema_ref() -> MetaSchemaRef {
            let mut schema = MetaSchema::new_with_format("string", "date-time");
            schema.example = Some(Value::from("2026-11-22T09:30:00.000Z"));
            MetaSchemaRef::Inline(Box::new(schema))
        }

        fn as_raw_value(&self) -> Option<&Self> {
            Some(self)
        }

        fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
            Box::new(self.as_raw_value().into_iter())
        }
    }

    impl ToJSON for Stamp {
        fn to_json(&self) -> Option<Value> {
            Some(Value::from(self.to_string()))
        }
    }

    impl ParseFromJSON for Stamp {
        fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
            let value = value.unwrap_or_default();
            serde_json::from_value(value.clone()).map_err(|_| ParseError::expected_type(value))
        }
    }
}
