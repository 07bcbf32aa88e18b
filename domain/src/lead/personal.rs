//! What of a lead's history is about the person.

use serde_json::Map;

use crate::lead::Lead;
use crate::lead::event::LeadEvent;
use crate::personal::Personal;
use crate::shared::ids::ContactId;

impl Personal for Lead {
    fn contact(&self) -> Option<ContactId> {
        match self {
            Self::Known(lead) => lead.contact_id,
            Self::Erased(contact) => Some(*contact),
            Self::Absent => None,
        }
    }

    fn without_person(event: &LeadEvent) -> Option<LeadEvent> {
        match event.clone() {
            LeadEvent::Captured { lead_id, contact_id, at, .. } => {
                Some(LeadEvent::Captured { lead_id, contact_id, phone: None, source: None, at })
            }
            LeadEvent::FieldsChanged { at, .. } => {
                Some(LeadEvent::FieldsChanged { name: None, email: None, fields: Map::new(), at })
            }
            LeadEvent::TagsChanged { at, .. } => {
                Some(LeadEvent::TagsChanged { added: Vec::new(), removed: Vec::new(), at })
            }
            LeadEvent::ContactIdentified { .. } | LeadEvent::StatusChanged { .. } | LeadEvent::ContactErased { .. } => {
                None
            }
        }
    }
}
