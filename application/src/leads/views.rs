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
    /// The contact it is; `DELETE /api/contacts/{id}/personal-data` takes this id.
    pub contact_id: Option<Uuid>,
    /// Its phone in E.164; absent once the contact was erased.
    pub phone: Option<String>,
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
            contact_id: None,
            phone: None,
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
            LeadEvent::Captured { lead_id, contact_id, phone, source, at } => {
                *self = Self {
                    id: lead_id.0,
                    contact_id: contact_id.map(|contact| contact.0),
                    phone: phone.as_ref().map(ToString::to_string),
                    source: source.clone(),
                    created_at: Stamp(*at),
                    updated_at: Stamp(*at),
                    ..Self::default()
                };
            }
            LeadEvent::ContactIdentified { contact_id, .. } => self.contact_id = Some(contact_id.0),
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
            LeadEvent::ContactErased { at } => {
                *self = Self {
                    id: self.id,
                    contact_id: self.contact_id,
                    status: std::mem::take(&mut self.status),
                    created_at: self.created_at,
                    updated_at: Stamp(*at),
                    ..Self::default()
                };
            }
        }
        true
    }
}
