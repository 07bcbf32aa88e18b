//! Our own pause of a template: nothing sends it until somebody lifts it, whatever Meta thinks of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::template::KnownTemplate;
use crate::template::event::TemplateEvent;

/// Characters of a reason at most.
pub const PAUSE_REASON_CHARS_MAX: usize = 500;

/// A pause of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnPause {
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub at: DateTime<Utc>,
}

impl KnownTemplate {
    /// A pause under another reason is told anew; one without a reason adds nothing to the one there is.
    pub(crate) fn pause_sending(&self, reason: Option<String>, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        match &self.own_pause {
            Some(pause) if reason.is_none() || pause.reason == reason => Vec::new(),
            Some(_) | None => vec![TemplateEvent::SendingPaused { reason, at }],
        }
    }

    pub(crate) fn resume_sending(&self, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        self.own_pause.iter().map(|_| TemplateEvent::SendingResumed { at }).collect()
    }
}
