//! What is shown of templates. The read model is the template as it stands, indexed; what is shown is read off it.

use domain::shared::ids::{TemplateGroupId, TemplateId};
use domain::template::event::TemplateEvent;
use domain::template::sending::sendable;
use domain::template::{KnownTemplate, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// A template as it stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDocument {
    /// The template.
    pub template: Template,
    /// When we first knew of it.
    pub created_at: Stamp,
    /// When anything of it last changed.
    pub updated_at: Stamp,
}

impl Document for TemplateDocument {
    const NAME: &'static str = "template_view";
    type Aggregate = Template;

    fn key(recorded: &Recorded<TemplateEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<TemplateEvent>) -> bool {
        if recorded.sequence == 1 {
            self.created_at = Stamp(recorded.recorded_at);
        }
        self.updated_at = Stamp(recorded.recorded_at);
        cqrs_es::Aggregate::apply(&mut self.template, recorded.event.clone());
        true
    }
}

impl TemplateDocument {
    /// The template, if anything is known of it.
    pub fn known(&self) -> Option<&KnownTemplate> {
        self.template.known()
    }
}

/// How a template is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct PauseView {
    /// `FIRST_PAUSE` for 3 hours, `SECOND_PAUSE` for 6, `RATE_LIMITING_PAUSE`; empty where Meta does not say.
    pub rung: String,
    /// When Meta ends it by itself, where that is known.
    pub until: Option<Stamp>,
}

/// How somebody here paused a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct OwnPauseView {
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Stamp,
}

/// A template.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct TemplateView {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// Its language, such as `he` or `en_US`.
    pub language: String,
    /// `UTILITY`, `MARKETING` or `AUTHENTICATION`, as Meta has it; other words are Meta's own.
    pub category: Option<String>,
    /// Where it stands, in Meta's word: `PENDING`, `APPROVED`, `REJECTED`, `PAUSED`, `DISABLED`, `FLAGGED`, `IN_APPEAL`,
    /// `LIMIT_EXCEEDED`, `LOCKED`, `ARCHIVED`, `PENDING_DELETION`, `DELETED`, or one that is new. `SUBMITTING` while Meta
    /// has not answered, `REFUSED` when it did not take it.
    pub status: String,
    /// Since when, by Meta's clock.
    pub status_at: Stamp,
    /// How customers take it: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: String,
    /// Why Meta rejected it, in its word, such as `INVALID_FORMAT`.
    pub rejection_reason: Option<String>,
    /// What is wrong with it, in Meta's words.
    pub rejection_explanation: Option<String>,
    /// What Meta recommends.
    pub rejection_recommendation: Option<String>,
    /// Why Meta did not take it.
    pub submission_error: Option<String>,
    /// How it is paused.
    pub pause: Option<PauseView>,
    /// What it says, in Meta's JSON; null while only a webhook told of it.
    pub components: Value,
    /// Whether it may be sent now.
    pub sendable: bool,
    /// Why it may not.
    pub not_sendable_because: Option<String>,
    /// Whether it may be sent before the client signed it off.
    pub is_work_approved: bool,
    /// How somebody here paused it; nothing sends it until `resume_template` of the health actions.
    pub own_pause: Option<OwnPauseView>,
    /// Whether Meta moved it to a category nobody agreed to; `PUT /api/templates` agrees.
    pub category_blocked: bool,
    /// The category Meta is about to move it to.
    pub announced_category: Option<String>,
    /// Why somebody agreed to a category other than UTILITY.
    pub non_utility_override_reason: Option<String>,
    /// The group it joins once Meta took it.
    pub target_group_id: Option<TemplateGroupId>,
    /// The WhatsApp Business Account it belongs to.
    pub waba_id: String,
    /// Meta's id of it.
    pub provider_id: Option<String>,
    /// Why Meta did not delete it.
    pub deletion_error: Option<String>,
    /// Until when its name cannot be used again.
    pub name_blocked_until: Option<Stamp>,
    /// When we first knew of it.
    pub created_at: Stamp,
    /// When anything of it last changed.
    pub updated_at: Stamp,
}

impl TemplateView {
    /// What is shown of a template; nothing when nothing is known.
    pub fn of(document: &TemplateDocument) -> Option<Self> {
        let it = document.known()?;
        let because = sendable(&document.template).err().map(|reason| reason.to_string());
        let rejection = it.rejection.clone().unwrap_or_default();
        let word = |category: &domain::template::category::Category| category.to_string();
        Some(Self {
            id: it.id,
            name: it.name.clone(),
            language: it.language.clone(),
            category: it.category.as_ref().map(word),
            status: it.status.to_string(),
            status_at: Stamp(it.status_at),
            quality: it.quality.to_string(),
            rejection_reason: rejection.reason,
            rejection_explanation: rejection.explanation,
            rejection_recommendation: rejection.recommendation,
            submission_error: it.refusal.as_ref().map(words),
            pause: it
                .pause
                .as_ref()
                .map(|pause| PauseView { rung: pause.rung.to_string(), until: pause.until.map(Stamp) }),
            components: it.components.clone(),
            sendable: because.is_none(),
            not_sendable_because: because,
            is_work_approved: it.is_work_approved,
            own_pause: it
                .own_pause
                .as_ref()
                .map(|pause| OwnPauseView { reason: pause.reason.clone(), since: Stamp(pause.at) }),
            category_blocked: it.category.as_ref().is_some_and(|category| !category.is_cleared(&it.cleared)),
            announced_category: it.announced_category.as_ref().map(word),
            non_utility_override_reason: it.category_override.as_ref().map(|it| it.reason.clone()),
            target_group_id: it.target_group.as_ref().map(|group| group.id),
            waba_id: it.waba_id.clone(),
            provider_id: it.provider_id.clone(),
            deletion_error: it.deletion.as_ref().and_then(|it| it.failure.as_ref()).map(words),
            name_blocked_until: it.name_blocked_until.map(Stamp),
            created_at: document.created_at,
            updated_at: document.updated_at,
        })
    }
}

fn words(error: &domain::shared::provider_error::ProviderError) -> String {
    match &error.details {
        Some(details) => format!("{}: {details}", error.title),
        None => error.title.clone(),
    }
}
