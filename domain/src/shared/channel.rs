//! Channels and how a contact is reached on one.

use serde::{Deserialize, Serialize};

use crate::shared::phone::Phone;

string_enum! {
    /// Where a conversation takes place.
    Channel { Whatsapp = "whatsapp" }
}

/// How one contact is addressed on a channel. A WhatsApp user may have no phone number: then the
/// business-scoped user id addresses it (Meta, business-scoped user ids).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The phone number, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// The channel's own user id, such as `US.13491208655302741918`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

impl Address {
    /// An address that is a phone number.
    pub fn of_phone(phone: Phone) -> Self {
        Self { phone: Some(phone), user_id: None }
    }

    /// This address with what `other` knows beyond it; what `other` knows wins.
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            phone: other.phone.clone().or_else(|| self.phone.clone()),
            user_id: other.user_id.clone().or_else(|| self.user_id.clone()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.phone, &self.user_id) {
            (Some(phone), _) => phone.fmt(f),
            (None, Some(user)) => user.fmt(f),
            (None, None) => f.write_str("unknown"),
        }
    }
}
