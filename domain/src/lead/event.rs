//! What happened to a lead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decide::event_tags;
use crate::shared::ids::LeadId;
use crate::shared::phone::Phone;

/// A fact about a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum LeadEvent {
    /// We heard of it for the first time.
    Captured { lead_id: LeadId, phone: Phone, source: Option<String>, at: DateTime<Utc> },
    /// Something about the person changed; a null field was removed.
    FieldsChanged { name: Option<String>, email: Option<String>, fields: Map<String, Value>, at: DateTime<Utc> },
    /// It moved in the pipeline.
    StatusChanged { from: String, to: String, at: DateTime<Utc> },
    /// Tags came and went.
    TagsChanged { added: Vec<String>, removed: Vec<String>, at: DateTime<Utc> },
}

event_tags!(LeadEvent {
    Captured = "lead.captured",
    FieldsChanged = "lead.fields_changed",
    StatusChanged = "lead.status_changed",
    TagsChanged = "lead.tags_changed",
});
