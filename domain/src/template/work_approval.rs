//! The word of the people who work with a template: whether it may be sent before the client signed it off. It is
//! there until somebody takes it back.

use chrono::{DateTime, Utc};

use crate::template::KnownTemplate;
use crate::template::event::TemplateEvent;

impl KnownTemplate {
    pub(crate) fn set_work_approval(&self, approved: bool, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        match (self.is_work_approved, approved) {
            (false, true) => vec![TemplateEvent::WorkApproved { at }],
            (true, false) => vec![TemplateEvent::WorkApprovalWithdrawn { at }],
            // Somebody wants it tried again, though Meta refused to send it.
            (true, true) if self.send_refusal.is_some() => vec![TemplateEvent::WorkApproved { at }],
            (true, true) | (false, false) => Vec::new(),
        }
    }
}
