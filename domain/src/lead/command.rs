//! What can be asked of a lead.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::shared::ids::{ContactId, LeadId};
use crate::shared::phone::Phone;

/// What is told of a lead; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeadFacts {
    /// Name, at most 200 characters.
    pub name: Option<String>,
    /// What the channel calls the person; taken while no name is known.
    pub profile_name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Where it came from; kept from the first time only.
    pub source: Option<String>,
    /// A word of the account's pipeline: 1 to 40 of `a-z 0-9 _ -`.
    pub status: Option<String>,
    /// Other fields; null removes one. At most 100, 640 characters a text.
    pub fields: Map<String, Value>,
    /// Tags to add, at most 50 in all.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
}

/// A wish about one lead.
#[derive(Debug, Clone, PartialEq)]
pub enum LeadCommand {
    /// Tell what is known; captures the lead when it is new.
    Tell {
        /// Its id, by [`crate::lead::Lead::id_of`].
        id: LeadId,
        /// The contact behind the phone.
        contact: ContactId,
        /// Its phone.
        phone: Phone,
        /// The facts.
        facts: LeadFacts,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Change a lead that must be known already.
    Change {
        /// The facts.
        facts: LeadFacts,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Forget the person.
    Erase {
        /// The contact; a lead that is another contact's by now is left alone.
        contact: ContactId,
        /// Now.
        at: DateTime<Utc>,
    },
}
