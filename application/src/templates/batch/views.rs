//! What is shown of jobs.

use domain::flow::validation::Problem;
use domain::shared::ids::TemplateId;
use domain::template::batch::{BatchStatus, ItemState};
use uuid::Uuid;

use crate::time::Stamp;

/// An item of a job.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct BatchItemView {
    /// Its place in the request, from 0.
    pub index: u32,
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Where it stands.
    pub state: ItemState,
    /// The template, when it is there.
    pub template_id: Option<TemplateId>,
    /// Why it failed, in a stable word.
    pub code: Option<String>,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
    /// What Meta says is wrong, by component.
    pub problems: Vec<Problem>,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was done.
    pub finished_at: Option<Stamp>,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct BatchView {
    /// Its id.
    pub job_id: Uuid,
    /// Where it stands.
    pub status: BatchStatus,
    /// Its items.
    pub total: u32,
    /// Items whose template is there: `submitted` and `already_there`.
    pub ok_count: u32,
    /// Items that failed.
    pub fail_count: u32,
    /// Items that are still to be done.
    pub pending_count: u32,
    /// Items that were stopped.
    pub cancelled_count: u32,
    /// Milliseconds between two submissions at least.
    pub interval_ms: u32,
    /// Until when it waits at the longest, when Meta's allowance is used up or Meta gives no answer.
    pub waiting_until: Option<Stamp>,
    /// What it waits for.
    pub waiting_for: Option<String>,
    /// When it was asked for.
    pub created_at: Stamp,
    /// When its first item was begun.
    pub started_at: Option<Stamp>,
    /// When nothing of it was left to do.
    pub finished_at: Option<Stamp>,
    /// Its items, in the order of the request.
    pub items: Vec<BatchItemView>,
}

impl BatchView {
    /// With the counts its items lead to.
    #[must_use]
    pub fn counted(mut self) -> Self {
        let count = |which: fn(ItemState) -> bool| {
            u32::try_from(self.items.iter().filter(|it| which(it.state)).count()).unwrap_or(u32::MAX)
        };
        let counts = [
            count(|_| true),
            count(ItemState::is_ok),
            count(|state| state == ItemState::Failed),
            count(|state| !state.is_over()),
            count(|state| state == ItemState::Cancelled),
        ];
        [self.total, self.ok_count, self.fail_count, self.pending_count, self.cancelled_count] = counts;
        self
    }
}
