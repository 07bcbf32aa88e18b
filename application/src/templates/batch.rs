//! Many templates, submitted one after the other: checked all at once, paced, waiting for Meta's allowance, and each of
//! them once.

pub mod run;
pub mod views;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::ids::{TemplateId, TenantId, UserId};
use domain::template::batch::ItemState;
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::templates::Templates;
use crate::templates::accounts::no_line;
use crate::templates::batch::views::BatchView;
use crate::templates::submit::NewTemplate;
use crate::time::NewId;

/// Templates of a job at most.
pub const TEMPLATES_MAX: usize = 200;
/// Between two submissions, when nobody says.
pub const INTERVAL_MS_DEFAULT: u32 = 2_000;
/// Between two submissions at most: an hour.
pub const INTERVAL_MS_MAX: u32 = 3_600_000;

/// A job with its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBatch {
    /// The job.
    pub id: Uuid,
    /// The lease.
    pub token: Uuid,
    /// The account.
    pub tenant: TenantId,
    /// Who asked for it.
    pub started_by: UserId,
    /// Between two submissions.
    pub interval_ms: u32,
}

/// An item on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldItem {
    /// Which one, from 0.
    pub index: u32,
    /// How often it was begun, this time included; more than once after a process died or Meta gave no answer.
    pub attempts: u32,
    /// Whether the job was stopped after it was begun.
    pub stopped: bool,
    /// The template.
    pub template: NewTemplate,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it stands now.
    pub state: ItemState,
    /// The template, when it is there.
    pub template_id: Option<TemplateId>,
    /// Why it is not.
    pub failure: Option<Failure>,
}

/// Why an item failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// A stable word.
    pub code: String,
    /// In words.
    pub message: String,
    /// By component, where Meta said so.
    pub problems: Vec<Problem>,
}

/// Why an item is begun again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// When.
    pub seconds: u64,
    /// What for, in words.
    pub why: String,
    /// Whether this attempt counts.
    pub counts: bool,
}

/// Jobs and their items; what a client changes comes with an audit entry in the same transaction.
#[async_trait]
pub trait BatchStore: Send + Sync {
    /// Starts a job.
    async fn create(&self, session: &Session, id: Uuid, interval_ms: u32, templates: &[NewTemplate]) -> AppResult<()>;
    /// A job with its items.
    async fn get(&self, tenant: TenantId, id: Uuid) -> AppResult<Option<BatchView>>;
    /// Stops a job; false when it was over already.
    async fn cancel(&self, session: &Session, id: Uuid) -> AppResult<bool>;
    /// Takes the leases of jobs whose turn it is.
    async fn claim(&self, limit: u32) -> AppResult<Vec<HeldBatch>>;
    /// Begins a job's next item; `None` when there is none, or the lease is lost.
    async fn begin(&self, batch: &HeldBatch) -> AppResult<Option<HeldItem>>;
    /// Records what became of an item and lets the job rest for its interval; ends it with its last item.
    async fn conclude(&self, batch: &HeldBatch, item: &HeldItem, outcome: &Outcome) -> AppResult<()>;
    /// Lets an item be begun again later.
    async fn put_off(&self, batch: &HeldBatch, item: &HeldItem, wait: &Wait) -> AppResult<()>;
    /// Ends a job that has nothing left to do.
    async fn finish(&self, batch: &HeldBatch) -> AppResult<()>;
}

/// The jobs of accounts.
pub struct Batches {
    /// Where they are kept.
    pub store: Arc<dyn BatchStore>,
    /// Where their items go.
    pub templates: Arc<Templates>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl Batches {
    /// Starts a job; all of it is checked first.
    ///
    /// # Errors
    /// There is no line, or an item is wrong: every problem of every item at once.
    pub async fn start(&self, session: &Session, interval_ms: u32, templates: Vec<NewTemplate>) -> AppResult<Uuid> {
        let account = self.templates.accounts.of(session.tenant).await?.into_iter().next();
        let (mut problems, mut wrong) = (Vec::new(), 0);
        let mut names = HashSet::new();
        for (at, template) in templates.iter().enumerate() {
            let before = problems.len();
            let mut tell = |problem: Problem| {
                let field = problem.field.as_ref().map_or_else(String::new, |field| format!(".{field}"));
                problems.push(problem.in_field(format!("templates[{at}]{field}")));
            };
            if !names.insert((template.name.as_str(), template.language.as_str())) {
                let reason = reason!("template_twice", "is in the list before, in the same language");
                tell(Problem::of_field("name", reason));
            }
            match self.templates.checked(session.tenant, account.as_ref(), template.clone()).await {
                Ok(_) => {}
                Err(AppError::Invalid { problems, .. }) => problems.into_iter().for_each(tell),
                Err(error) => return Err(error),
            }
            wrong += usize::from(problems.len() > before);
        }
        if !problems.is_empty() {
            let message = format!("{wrong} of {} templates have {} problem(s)", templates.len(), problems.len());
            return Err(AppError::Invalid { message, problems });
        }
        account.ok_or_else(no_line)?;
        let id = self.ids.new_id();
        self.store.create(session, id, interval_ms, &templates).await?;
        Ok(id)
    }

    /// How a job stands.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, session: &Session, id: Uuid) -> AppResult<BatchView> {
        self.store.get(session.tenant, id).await?.ok_or(AppError::NotFound("batch job"))
    }

    /// Stops a job: what was not begun is never submitted.
    ///
    /// # Errors
    /// It is not there, or it ended by itself.
    pub async fn cancel(&self, session: &Session, id: Uuid) -> AppResult<BatchView> {
        self.get(session, id).await?;
        let stopped = self.store.cancel(session, id).await?;
        let view = self.get(session, id).await?;
        if !stopped && view.status != domain::template::batch::BatchStatus::Cancelled {
            return Err(AppError::Conflict {
                code: "batch_over",
                message: format!("the job is {} already: nothing of it is left to cancel", view.status),
            });
        }
        Ok(view)
    }
}
