//! What is shown of leads.

use domain::lead::event::LeadEvent;
use domain::lead::{self, Lead};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// A lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LeadView {
    /// Its id.
    pub id: Uuid,
    /// Its phone in E.164.
    pub phone: String,
    /// Name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// Where it stands in the account's pipeline; `new` at first.
    pub status: String,
    /// Whatever else is known of it, as an object.
    pub fields: Value,
    /// Tags.
    pub tags: Vec<String>,
    /// When it was captured.
    pub created_at: Stamp,
    /// When it last changed.
    pub updated_at: Stamp,
}

impl Default for LeadView {
    fn default() -> Self {
        Self {
            id: Uuid::nil(),
            phone: String::new(),
            name: None,
            email: None,
            source: None,
            status: lead::NEW.to_owned(),
            fields: json!({}),
            tags: Vec::new(),
            created_at: Stamp::default(),
            updated_at: Stamp::default(),
        }
    }
}

impl Document for LeadView {
    const NAME: &'static str = "lead_view";
    type Aggregate = Lead;

    fn key(recorded: &Recorded<LeadEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<LeadEvent>) -> bool {
        match &recorded.event {
            LeadEvent::Captured { lead_id, phone, source, at } => {
                (self.id, self.phone, self.source) = (lead_id.0, phone.to_string(), source.clone());
                (self.created_at, self.updated_at) = (Stamp(*at), Stamp(*at));
            }
            LeadEvent::FieldsChanged { name, email, fields, at } => {
                self.name = name.clone().or(self.name.take());
                self.email = email.clone().or(self.email.take());
                if let Value::Object(known) = &mut self.fields {
                    known.extend(fields.clone());
                    known.retain(|_, value| !value.is_null());
                }
                self.updated_at = Stamp(*at);
            }
            LeadEvent::StatusChanged { to, at, .. } => (self.status, self.updated_at) = (to.clone(), Stamp(*at)),
            LeadEvent::TagsChanged { added, removed, at } => {
                self.tags.retain(|tag| !removed.contains(tag));
                self.tags.extend(added.iter().cloned());
                self.updated_at = Stamp(*at);
            }
        }
        true
    }
}
