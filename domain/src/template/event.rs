//! What happened to a template. `at` is our clock; `toldAt` the clock of who told it, which decides what counts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::event_tags;
use crate::shared::ids::TemplateId;
use crate::shared::provider_error::ProviderError;
use crate::template::approval::{Pause, Rejection, Status};
use crate::template::category::Category;
use crate::template::command::Listing;
use crate::template::deletion::ClientApproval;
use crate::template::{Quality, TargetGroup};

/// A fact about a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum TemplateEvent {
    /// Somebody wrote it and hands it to Meta. A category other than UTILITY comes with the reason for it.
    Submitted {
        template_id: TemplateId,
        waba_id: String,
        name: String,
        language: String,
        category: Category,
        components: Value,
        non_utility_override: Option<String>,
        target_group: Option<TargetGroup>,
        at: DateTime<Utc>,
    },
    /// Meta took it for review.
    Accepted { provider_id: Option<String>, status: Status, at: DateTime<Utc> },
    /// Meta did not take it.
    Refused { error: ProviderError, at: DateTime<Utc> },
    /// Meta has it, and we had not heard of it, or had it for gone.
    Discovered {
        template_id: TemplateId,
        waba_id: String,
        name: String,
        language: String,
        listing: Listing,
        told_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// Meta's id of it became known, or is another one by now.
    Identified { provider_id: String, at: DateTime<Utc> },
    /// Meta thinks otherwise of it. `told` is the word it said so with.
    StatusChanged {
        from: Status,
        to: Status,
        told: String,
        rejection: Option<Rejection>,
        pause: Option<Pause>,
        notice: Option<Value>,
        told_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// News that were overtaken by newer ones; they changed nothing.
    StatusToldLate { status: Status, told_at: DateTime<Utc>, at: DateTime<Utc> },
    /// Customers take it otherwise.
    QualityChanged { from: Quality, to: Quality, told_at: DateTime<Utc>, at: DateTime<Utc> },
    /// Meta moved it to another category. `blocked`: nobody agreed to that one, so it is not sent.
    CategoryChanged { from: Option<Category>, to: Category, blocked: bool, told_at: DateTime<Utc>, at: DateTime<Utc> },
    /// Meta will move it to another category.
    CategoryChangeAnnounced { to: Category, told_at: DateTime<Utc>, at: DateTime<Utc> },
    /// Somebody agreed to the category it is in.
    CategoryOverridden { category: Category, reason: String, at: DateTime<Utc> },
    /// Its components are others at Meta.
    ComponentsChanged { components: Value, told_at: DateTime<Utc>, at: DateTime<Utc> },
    /// It may be sent before the client signed it off.
    WorkApproved { at: DateTime<Utc> },
    /// It may not be sent until somebody approves it again.
    WorkApprovalWithdrawn { at: DateTime<Utc> },
    /// Somebody here lets it rest: nothing sends it until it is resumed.
    SendingPaused { reason: Option<String>, at: DateTime<Utc> },
    /// Nobody here lets it rest any more.
    SendingResumed { at: DateTime<Utc> },
    /// Meta refused to send it, to whomever: it is passed over until something about it changes.
    SendRefused { error: ProviderError, at: DateTime<Utc> },
    /// Somebody wants it gone.
    DeletionRequested { client_approval: Option<ClientApproval>, at: DateTime<Utc> },
    /// Meta did not delete it.
    DeletionFailed { error: ProviderError, at: DateTime<Utc> },
    /// It is gone.
    Deleted { name_blocked_until: Option<DateTime<Utc>>, at: DateTime<Utc> },
    /// Meta has it no longer, and nobody here deleted it.
    Vanished { name_blocked_until: Option<DateTime<Utc>>, at: DateTime<Utc> },
}

event_tags!(TemplateEvent {
    Submitted = "template.submitted",
    Accepted = "template.accepted",
    Refused = "template.refused",
    Discovered = "template.discovered",
    Identified = "template.identified",
    StatusChanged = "template.status_changed",
    StatusToldLate = "template.status_told_late",
    QualityChanged = "template.quality_changed",
    CategoryChanged = "template.category_changed",
    CategoryChangeAnnounced = "template.category_change_announced",
    CategoryOverridden = "template.category_overridden",
    ComponentsChanged = "template.components_changed",
    WorkApproved = "template.work_approved",
    WorkApprovalWithdrawn = "template.work_approval_withdrawn",
    SendingPaused = "template.sending_paused",
    SendingResumed = "template.sending_resumed",
    SendRefused = "template.send_refused",
    DeletionRequested = "template.deletion_requested",
    DeletionFailed = "template.deletion_failed",
    Deleted = "template.deleted",
    Vanished = "template.vanished",
});
