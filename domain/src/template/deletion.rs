//! Deleting a template: who agreed to it, and how long its name cannot be used again.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::shared::provider_error::ProviderError;
use crate::template::error::TemplateError;
use crate::template::event::TemplateEvent;
use crate::template::{KnownTemplate, Status};

/// How long the name of a template that was approved cannot be used again (Meta, template-management).
pub const NAME_BLOCK_DAYS: i64 = 30;

/// What the client said to a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientApproval {
    /// Whether the client agreed.
    pub confirmed: bool,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A deletion under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// What the client said.
    pub client_approval: Option<ClientApproval>,
    /// Why Meta did not do it.
    pub failure: Option<ProviderError>,
}

impl KnownTemplate {
    /// Until when its name is blocked, if it goes at `at`.
    pub(crate) fn block_from(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.was_approved.then(|| at + TimeDelta::days(NAME_BLOCK_DAYS))
    }

    pub(crate) fn request_deletion(
        &self,
        client_approval: Option<ClientApproval>,
        at: DateTime<Utc>,
    ) -> Result<Vec<TemplateEvent>, TemplateError> {
        match self.status {
            Status::Deleted => Err(TemplateError::NotFound),
            Status::Disabled => Err(TemplateError::Disabled),
            _ => Ok(vec![TemplateEvent::DeletionRequested { client_approval, at }]),
        }
    }

    pub(crate) fn confirm_deletion(&self, at: DateTime<Utc>) -> Vec<TemplateEvent> {
        if self.is_gone() {
            return Vec::new();
        }
        vec![TemplateEvent::Deleted { name_blocked_until: self.block_from(at), at }]
    }
}
