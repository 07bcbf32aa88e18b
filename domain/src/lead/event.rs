//! What happened to a lead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decide::event_tags;
use crate::shared::ids::{ContactId, LeadId};
use crate::shared::phone::Phone;

/// A fact about a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum LeadEvent {
    /// We heard of it for the first time. The phone is gone once the contact was erased; the contact was not
    /// recorded at first.
    Captured {
        lead_id: LeadId,
        contact_id: Option<ContactId>,
        phone: Option<Phone>,
        source: Option<String>,
        at: DateTime<Utc>,
    },
    /// The contact behind a lead that was captured without.
    ContactIdentified { contact_id: ContactId, at: DateTime<Utc> },
    /// Something about the person changed; a null field was removed.
    FieldsChanged { name: Option<String>, email: Option<String>, fields: Map<String, Value>, at: DateTime<Utc> },
    /// It moved in the pipeline.
    StatusChanged { from: String, to: String, at: DateTime<Utc> },
    /// Tags came and went.
    TagsChanged { added: Vec<String>, removed: Vec<String>, at: DateTime<Utc> },
    /// The person asked to be forgotten: what the log held of them cannot be read any more.
    ContactErased { at: DateTime<Utc> },
}

event_tags!(LeadEvent {
    Captured = "lead.captured" @ "2",
    ContactIdentified = "lead.contact_identified",
    FieldsChanged = "lead.fields_changed",
    StatusChanged = "lead.status_changed",
    TagsChanged = "lead.tags_changed",
    ContactErased = "lead.contact_erased",
});
