//! What can be asked of a template, and what Meta can tell of one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::ids::{TemplateId, TenantId};
use crate::shared::provider_error::ProviderError;
use crate::template::approval::{Rejection, Status};
use crate::template::category::{Category, NonUtility};
use crate::template::deletion::ClientApproval;
use crate::template::{Quality, TargetGroup, Template};

/// What names a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id, by [`Template::id_of`].
    pub id: TemplateId,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
}

impl Identity {
    /// The template of this name and language.
    pub fn new(tenant: TenantId, waba_id: &str, name: &str, language: &str) -> Self {
        let id = Template::id_of(tenant, waba_id, name, language);
        Self { id, waba_id: waba_id.to_owned(), name: name.to_owned(), language: language.to_owned() }
    }
}

/// A template as somebody wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What names it.
    pub identity: Identity,
    /// What it is for.
    pub category: Category,
    /// What it says, in Meta's JSON.
    pub components: Value,
    /// What is said for another category than UTILITY.
    pub non_utility: NonUtility,
    /// The group it joins once Meta took it.
    pub target_group: Option<TargetGroup>,
}

/// A template as Meta lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// Meta's id of it.
    pub provider_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// What it is for, where it is told.
    pub category: Option<Category>,
    /// What it says; null where it is not told.
    pub components: Value,
    /// How customers take it.
    pub quality: Quality,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
}

/// A change of status as a webhook tells it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusNews {
    /// The word, such as `PAUSED`.
    pub word: String,
    /// The title beside it, such as `FIRST_PAUSE`.
    pub title: Option<String>,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
    /// What else is told.
    pub notice: Option<Value>,
    /// What it is for, where it is told.
    pub category: Option<Category>,
}

/// Texts of a template as a webhook tells them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Texts {
    /// Of the header.
    pub header: Option<String>,
    /// Of the body.
    pub body: Option<String>,
    /// Of the footer.
    pub footer: Option<String>,
    /// The buttons, in the shape components have.
    pub buttons: Option<Vec<Value>>,
}

/// What Meta tells of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Its status.
    Status(StatusNews),
    /// Its quality.
    Quality(Quality),
    /// Its category, and the one it will have.
    Category {
        /// Now.
        now: Option<Category>,
        /// Soon.
        correct: Option<Category>,
    },
    /// What it says.
    Texts(Texts),
    /// All there is, in a list.
    Listed(Listing),
}

/// A wish about one template.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateCommand {
    /// Hand it to Meta.
    Submit {
        /// The template.
        draft: Draft,
        /// Until when the name is blocked by a deletion in another language.
        name_blocked_until: Option<DateTime<Utc>>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Meta took it.
    Accept {
        /// Meta's id of it.
        provider_id: Option<String>,
        /// Where it stands.
        status: Status,
        /// The category Meta put it in.
        category: Option<Category>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Meta did not take it.
    Refuse {
        /// Why.
        error: ProviderError,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Take in what Meta tells.
    Hear {
        /// Of which template.
        identity: Identity,
        /// Meta's id of it, where it is told.
        provider_id: Option<String>,
        /// What.
        news: News,
        /// When, by Meta's clock.
        told_at: DateTime<Utc>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// A whole list of Meta's does not have it.
    Miss {
        /// When the list was begun.
        listed_at: DateTime<Utc>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Agree to the category it is in.
    OverrideCategory {
        /// Why.
        word: NonUtility,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Give the approval to work with it, or take it back.
    SetWorkApproval {
        /// Which of them.
        approved: bool,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Let it rest: nothing sends it until it is resumed.
    PauseSending {
        /// Why.
        reason: Option<String>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Let it be sent again.
    ResumeSending {
        /// Now.
        at: DateTime<Utc>,
    },
    /// Meta refused to send it.
    RecordSendRefusal {
        /// Why.
        error: ProviderError,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Want it gone.
    RequestDeletion {
        /// What the client said.
        client_approval: Option<ClientApproval>,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Meta deleted it.
    ConfirmDeletion {
        /// Now.
        at: DateTime<Utc>,
    },
    /// Meta did not delete it.
    FailDeletion {
        /// Why.
        error: ProviderError,
        /// Now.
        at: DateTime<Utc>,
    },
}
