//! A template: one name in one language on one WhatsApp Business Account, what Meta thinks of it, and whether it may
//! be sent.

pub mod approval;
pub mod batch;
pub mod category;
pub mod command;
pub mod components;
pub mod decide;
pub mod deletion;
pub mod draft;
pub mod error;
pub mod event;
pub mod hear;
pub mod own_pause;
pub mod placeholders;
pub mod rewrite;
pub mod sending;
pub mod variants;
pub mod work_approval;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::aggregate;
use crate::shared::ids::{ContactId, TemplateGroupId, TemplateId, TenantId};
use crate::shared::provider_error::ProviderError;
use crate::template::approval::{Pause, Rejection, Status};
use crate::template::category::Category;
use crate::template::command::TemplateCommand;
use crate::template::deletion::Deletion;
use crate::template::error::TemplateError;
use crate::template::event::TemplateEvent;
use crate::template::own_pause::OwnPause;

open_words! {
    /// How customers take a template, as Meta scores it.
    Quality {
        /// Well.
        Green = "GREEN",
        /// Not so well.
        Yellow = "YELLOW",
        /// Badly: it may be paused.
        Red = "RED",
        /// Not known yet.
        Unknown = "UNKNOWN",
    }
}

/// The group a template joins once Meta took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroup {
    /// The group.
    pub id: TemplateGroupId,
    /// What it is called when it has to be made first; absent for one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_as: Option<String>,
}

/// Why somebody wants a category other than UTILITY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CategoryOverride {
    /// The category.
    pub category: Category,
    /// In their words.
    pub reason: String,
}

/// A template's life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Template {
    /// Nobody wrote it, and Meta has not told of it.
    #[default]
    Absent,
    /// We know it, be it gone at Meta by now.
    Known(Box<KnownTemplate>),
}

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownTemplate {
    /// Its id.
    pub id: TemplateId,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// Its name.
    pub name: String,
    /// Its language, such as `he` or `en_US`.
    pub language: String,
    /// Meta's id of it, once it is told.
    pub provider_id: Option<String>,
    /// Its category; unknown while only a webhook told of it.
    pub category: Option<Category>,
    /// Since when, by the clock of who told.
    pub category_at: DateTime<Utc>,
    /// Categories it may be sent in.
    pub cleared: Vec<Category>,
    /// The last override, with its reason.
    pub category_override: Option<CategoryOverride>,
    /// The category Meta is about to move it to.
    pub announced_category: Option<Category>,
    /// Its components as Meta has them; null while only a webhook told of it.
    pub components: Value,
    /// Since when, by the clock of who told.
    pub components_at: DateTime<Utc>,
    /// Where it stands.
    pub status: Status,
    /// Since when, by the clock of who told.
    pub status_at: DateTime<Utc>,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
    /// How it is paused.
    pub pause: Option<Pause>,
    /// What else Meta told with the status.
    pub notice: Option<Value>,
    /// How customers take it.
    pub quality: Quality,
    /// Since when, by the clock of who told.
    pub quality_at: DateTime<Utc>,
    /// Whether it may be sent before the client signed it off.
    pub is_work_approved: bool,
    /// How somebody here lets it rest.
    #[serde(default)]
    pub own_pause: Option<OwnPause>,
    /// Whether Meta ever approved it: what its name is blocked for after a deletion.
    pub was_approved: bool,
    /// Why Meta refused to send it the last time, unless something about it changed since.
    #[serde(default)]
    pub send_refusal: Option<ProviderError>,
    /// The group it joins once Meta took it.
    pub target_group: Option<TargetGroup>,
    /// Why Meta did not take it.
    pub refusal: Option<ProviderError>,
    /// How its deletion stands.
    pub deletion: Option<Deletion>,
    /// Until when its name cannot be used again.
    pub name_blocked_until: Option<DateTime<Utc>>,
}

aggregate!(Template, "template", TemplateCommand, TemplateEvent, TemplateError);

/// A template is about nobody.
impl crate::personal::Personal for Template {
    fn contact(&self) -> Option<ContactId> {
        None
    }

    fn without_person(_: &TemplateEvent) -> Option<TemplateEvent> {
        None
    }
}

impl Template {
    /// The id of the template with this name and language: one an account, by construction.
    pub fn id_of(tenant: TenantId, waba_id: &str, name: &str, language: &str) -> TemplateId {
        TemplateId::derive(tenant.0, &format!("template:{waba_id}:{language}:{name}"))
    }

    /// The template, if it is known.
    pub fn known(&self) -> Option<&KnownTemplate> {
        match self {
            Self::Known(template) => Some(template),
            Self::Absent => None,
        }
    }

    pub(crate) fn apply_event(&mut self, event: TemplateEvent) {
        match event {
            TemplateEvent::Submitted { .. } | TemplateEvent::Discovered { .. } => {
                if let Some(begun) = KnownTemplate::begun(event, self.known()) {
                    *self = Self::Known(Box::new(begun));
                }
            }
            event => {
                if let Self::Known(template) = self {
                    template.apply(event);
                }
            }
        }
    }
}

impl KnownTemplate {
    /// Whether it is gone at Meta, as far as we know.
    pub fn is_gone(&self) -> bool {
        self.status == Status::Deleted
    }

    /// Whether Meta has it, or is being given it.
    pub fn is_live(&self) -> bool {
        !self.is_gone() && self.status != Status::Refused
    }

    /// A template at the beginning of its life, or of its next one: whether it may be sent at all is a person's word
    /// and stays.
    fn begun(event: TemplateEvent, before: Option<&Self>) -> Option<Self> {
        let blank = |id, waba_id, name, language, status, at| Self {
            id,
            waba_id,
            name,
            language,
            provider_id: None,
            category: None,
            category_at: at,
            cleared: Vec::new(),
            category_override: None,
            announced_category: None,
            components: Value::Null,
            components_at: at,
            status,
            status_at: at,
            rejection: None,
            pause: None,
            notice: None,
            quality: Quality::Unknown,
            quality_at: at,
            is_work_approved: before.is_none_or(|it| it.is_work_approved),
            own_pause: before.and_then(|it| it.own_pause.clone()),
            was_approved: false,
            send_refusal: None,
            target_group: None,
            refusal: None,
            deletion: None,
            name_blocked_until: None,
        };
        match event {
            TemplateEvent::Submitted {
                template_id,
                waba_id,
                name,
                language,
                category,
                components,
                non_utility_override,
                target_group,
                at,
            } => {
                let reason = non_utility_override;
                let category_override = reason.map(|reason| CategoryOverride { category: category.clone(), reason });
                Some(Self {
                    cleared: vec![category.clone()],
                    category: Some(category),
                    components,
                    category_override,
                    target_group,
                    ..blank(template_id, waba_id, name, language, Status::Submitting, at)
                })
            }
            TemplateEvent::Discovered { template_id, waba_id, name, language, listing, told_at, .. } => Some(Self {
                provider_id: listing.provider_id,
                cleared: listing.category.iter().cloned().collect(),
                category: listing.category,
                components: listing.components,
                rejection: listing.rejection,
                quality: listing.quality,
                was_approved: listing.status.was_reviewed_well(),
                ..blank(template_id, waba_id, name, language, listing.status, told_at)
            }),
            _ => None,
        }
    }

    fn apply(&mut self, event: TemplateEvent) {
        match event {
            TemplateEvent::Submitted { .. }
            | TemplateEvent::Discovered { .. }
            | TemplateEvent::StatusToldLate { .. } => {}
            TemplateEvent::Accepted { provider_id, status, at } => {
                (self.provider_id, self.status, self.status_at) = (provider_id, status, at);
            }
            TemplateEvent::Refused { error, .. } => (self.refusal, self.status) = (Some(error), Status::Refused),
            TemplateEvent::Identified { provider_id, .. } => self.provider_id = Some(provider_id),
            TemplateEvent::SendRefused { error, .. } => self.send_refusal = Some(error),
            TemplateEvent::StatusChanged { to, rejection, pause, notice, told_at, .. } => {
                self.send_refusal = None;
                self.was_approved |= to.was_reviewed_well();
                (self.status, self.status_at) = (to, told_at);
                (self.rejection, self.pause, self.notice) = (rejection, pause, notice);
            }
            TemplateEvent::QualityChanged { to, told_at, .. } => {
                (self.quality, self.quality_at) = (to, told_at);
            }
            TemplateEvent::CategoryChanged { from, to, told_at, .. } => {
                if from.is_none() {
                    self.cleared.push(to.clone());
                }
                (self.category, self.category_at, self.announced_category) = (Some(to), told_at, None);
            }
            TemplateEvent::CategoryChangeAnnounced { to, .. } => self.announced_category = Some(to),
            TemplateEvent::CategoryOverridden { category, reason, .. } => {
                self.cleared.push(category.clone());
                self.category_override = Some(CategoryOverride { category, reason });
            }
            TemplateEvent::ComponentsChanged { components, told_at, .. } => {
                (self.components, self.components_at, self.send_refusal) = (components, told_at, None);
            }
            TemplateEvent::WorkApproved { .. } => (self.is_work_approved, self.send_refusal) = (true, None),
            TemplateEvent::WorkApprovalWithdrawn { .. } => self.is_work_approved = false,
            TemplateEvent::SendingPaused { reason, at } => self.own_pause = Some(OwnPause { reason, at }),
            TemplateEvent::SendingResumed { .. } => self.own_pause = None,
            TemplateEvent::DeletionRequested { client_approval, at } => {
                self.deletion = Some(Deletion { requested_at: at, client_approval, failure: None });
            }
            TemplateEvent::DeletionFailed { error, .. } => {
                if let Some(deletion) = &mut self.deletion {
                    deletion.failure = Some(error);
                }
            }
            TemplateEvent::Deleted { name_blocked_until, at } | TemplateEvent::Vanished { name_blocked_until, at } => {
                (self.status, self.status_at, self.name_blocked_until) = (Status::Deleted, at, name_blocked_until);
                self.pause = None;
            }
        }
    }
}
