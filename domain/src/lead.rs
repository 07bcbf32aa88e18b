//! A lead: one phone number somebody means to win, its status, fields and tags.

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod personal;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decide::aggregate;
use crate::lead::command::LeadCommand;
use crate::lead::error::LeadError;
use crate::lead::event::LeadEvent;
use crate::shared::ids::{ContactId, LeadId, TenantId};
use crate::shared::phone::Phone;

/// The status of a lead nobody has looked at.
pub const NEW: &str = "new";

/// A lead's life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Lead {
    /// Nobody told us of it.
    #[default]
    Absent,
    /// We know it.
    Known(Box<KnownLead>),
    /// We knew it, until this contact was erased.
    Erased(ContactId),
}

/// What is known of a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownLead {
    /// Its id.
    pub id: LeadId,
    /// The contact it is; unknown for a lead the first release captured, until it is told of again.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// Its phone; what it is addressed by. Gone only while an erased lead is folded.
    pub phone: Option<Phone>,
    /// Name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// Where it stands: a word of the account's own pipeline.
    pub status: String,
    /// Whatever else is known.
    pub fields: Map<String, Value>,
    /// Tags.
    pub tags: Vec<String>,
}

aggregate!(Lead, "lead", LeadCommand, LeadEvent, LeadError);

impl Lead {
    /// The id of the lead with this phone: one lead per phone and account, by construction.
    pub fn id_of(tenant: TenantId, phone: &Phone) -> LeadId {
        LeadId::derive(tenant.0, &format!("lead:{phone}"))
    }

    /// The lead, if it is known.
    pub fn known(&self) -> Option<&KnownLead> {
        match self {
            Self::Known(lead) => Some(lead),
            Self::Absent | Self::Erased(_) => None,
        }
    }

    pub(crate) fn apply_event(&mut self, event: LeadEvent) {
        if let LeadEvent::Captured { lead_id, contact_id, phone, source, .. } = event {
            *self = Self::Known(Box::new(KnownLead {
                id: lead_id,
                contact_id,
                phone,
                name: None,
                email: None,
                source,
                status: NEW.to_owned(),
                fields: Map::new(),
                tags: Vec::new(),
            }));
            return;
        }
        let Self::Known(lead) = self else { return };
        match event {
            LeadEvent::Captured { .. } => {}
            LeadEvent::ContactIdentified { contact_id, .. } => lead.contact_id = Some(contact_id),
            LeadEvent::FieldsChanged { name, email, fields, .. } => {
                lead.name = name.or(lead.name.take());
                lead.email = email.or(lead.email.take());
                for (field, value) in fields {
                    match value {
                        Value::Null => drop(lead.fields.remove(&field)),
                        value => drop(lead.fields.insert(field, value)),
                    }
                }
            }
            LeadEvent::StatusChanged { to, .. } => lead.status = to,
            LeadEvent::TagsChanged { added, removed, .. } => {
                lead.tags.retain(|tag| !removed.contains(tag));
                lead.tags.extend(added);
            }
            LeadEvent::ContactErased { .. } => {
                if let Some(contact) = lead.contact_id {
                    *self = Self::Erased(contact);
                }
            }
        }
    }
}
