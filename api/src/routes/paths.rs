//! Ids and phones as they stand in paths, queries and bodies.

use std::borrow::Cow;

use domain::reason;
use domain::shared::phone::Phone;
use domain::shared::reason::Reason;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromParameter, ParseResult, Type};
use uuid::Uuid;

use crate::error::ApiError;

/// An id in a path. A text that is no UUID reads as the nil UUID, which names nothing: it is not found
/// like any other id that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub Uuid);

impl Type for Id {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_uuid".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "uuid")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromParameter for Id {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(Uuid::parse_str(value).unwrap_or_default()))
    }
}

/// A phone somebody named in a body or a query.
///
/// # Errors
/// It is none, in international form.
pub fn phone(text: &str) -> Result<Phone, ApiError> {
    read(text).ok_or_else(|| ApiError::invalid("phone_invalid", no_phone(text).words))
}

/// Why a text is no phone.
pub fn no_phone(phone: &str) -> Reason {
    reason!("not_a_phone", "`{phone}` is not a phone number in international form (+ and 7 to 15 digits)", phone)
}

/// The phone in a path.
///
/// # Errors
/// It is none, so nothing has it.
pub fn phone_of(what: &str, text: &str) -> Result<Phone, ApiError> {
    read(text).ok_or_else(|| ApiError::not_found(what))
}

/// With or without its `+`, which an unencoded query turns into a space.
fn read(text: &str) -> Option<Phone> {
    Phone::parse(text).ok().or_else(|| Phone::from_wa_id(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_ids_name_nothing() {
        assert_eq!(Id::parse_from_parameter("7").unwrap().0, Uuid::nil());
        let id = Uuid::from_u128(7);
        assert_eq!(Id::parse_from_parameter(&id.to_string()).unwrap().0, id);
    }

    #[test]
    fn phones_lose_their_plus_on_the_way() {
        for text in ["+972501234567", " 972501234567", "972501234567"] {
            assert_eq!(phone(text).unwrap().as_str(), "+972501234567");
        }
        assert_eq!(phone("12").unwrap_err().body.code, "phone_invalid");
        assert_eq!(phone_of("lead", "x").unwrap_err().body.error, "lead not found");
    }
}
