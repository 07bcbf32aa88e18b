//! One item of a job: submitted as if somebody had sent it by itself. A process may die at any point of it; whoever
//! takes the item up again looks first what became of it.

use domain::shared::ids::StreamId;
use domain::template::Template;
use domain::template::approval::Status;
use domain::template::batch::ItemState;
use domain::template::command::Identity;
use domain::template::components::say_the_same;
use domain::template::error::TemplateError;

use crate::actor::{Actor, Cause};
use crate::error::{AppError, AppResult};
use crate::templates::batch::{Batches, Failure, HeldBatch, HeldItem, Outcome, Wait};

/// How often an item is begun before it is given up: for longer than a submission may stay without an answer.
const ATTEMPTS_MAX: u32 = 8;
/// Longest wait between two attempts, in seconds.
const BACKOFF_SEC_MAX: u64 = 60;
/// Longest wait before the allowance is asked again, in seconds: others may have left some of it.
const ALLOWANCE_SEC_MAX: u64 = 60;

impl Batches {
    /// Does the next item of a job that is held.
    ///
    /// # Errors
    /// The database; the lease runs out, and somebody takes it up again.
    pub async fn step(&self, batch: &HeldBatch) -> AppResult<()> {
        let Some(item) = self.store.begin(batch).await? else { return self.store.finish(batch).await };
        let cause = Cause {
            actor: Actor::User(batch.started_by),
            correlation: batch.id,
            causation: Some(format!("batch:{}:{}", batch.id, item.index)),
            once: None,
        };
        match self.submit(batch, &item, &cause).await {
            Ok(outcome) => self.store.conclude(batch, &item, &outcome).await,
            Err(AppError::Limited { wait_sec, message }) => {
                let wait = Wait { seconds: wait_sec.min(ALLOWANCE_SEC_MAX), why: message, counts: false };
                self.store.put_off(batch, &item, &wait).await
            }
            Err(error) if may_pass(&error) && item.attempts < ATTEMPTS_MAX => {
                let seconds = (1_u64 << item.attempts.min(16)).min(BACKOFF_SEC_MAX);
                self.store.put_off(batch, &item, &Wait { seconds, why: error.to_string(), counts: true }).await
            }
            Err(error) => self.store.conclude(batch, &item, &failed(error)).await,
        }
    }

    async fn submit(&self, batch: &HeldBatch, item: &HeldItem, cause: &Cause) -> AppResult<Outcome> {
        if item.attempts > 1 {
            self.settle(batch, item, cause).await?;
        }
        if item.stopped {
            return self.after_the_stop(batch, item).await;
        }
        match self.templates.submit_for(batch.tenant, cause, item.template.clone()).await {
            Ok(written) => {
                Ok(Outcome { state: ItemState::Submitted, template_id: Some(written.view.id), failure: None })
            }
            Err(AppError::Conflict { code: "template_exists", message }) => self.there(batch, item, message).await,
            Err(error) => Err(error),
        }
    }

    /// An earlier attempt may have reached Meta without an answer.
    async fn settle(&self, batch: &HeldBatch, item: &HeldItem, cause: &Cause) -> AppResult<()> {
        let Some(account) = self.templates.accounts.of(batch.tenant).await?.into_iter().next() else { return Ok(()) };
        let (name, language) = (&item.template.name, &item.template.language);
        let identity = Identity::new(batch.tenant, &account.waba_id, name, language);
        let stream = StreamId::new(batch.tenant, identity.id.0);
        let template = self.templates.commands.load(&stream).await?;
        if template.known().is_some_and(|it| it.status == Status::Submitting) {
            self.templates.look_for(&account, &identity, &stream, cause).await?;
        }
        Ok(())
    }

    /// Of a job that was stopped, what an attempt brought about before counts; nothing is submitted any more.
    async fn after_the_stop(&self, batch: &HeldBatch, item: &HeldItem) -> AppResult<Outcome> {
        let (template, same) = self.namesake(batch, item).await?;
        let known = template.known().filter(|it| same && it.is_live());
        Ok(match known {
            Some(known) if known.status == Status::Submitting => return Err(TemplateError::BeingSubmitted.into()),
            Some(known) => Outcome { state: ItemState::Submitted, template_id: Some(known.id), failure: None },
            None => Outcome { state: ItemState::Cancelled, template_id: None, failure: None },
        })
    }

    /// The account's template of the item's name and language, and whether it says the same.
    async fn namesake(&self, batch: &HeldBatch, item: &HeldItem) -> AppResult<(Template, bool)> {
        let account = self.templates.accounts.of(batch.tenant).await?.into_iter().next();
        let waba_id = account.map_or_else(String::new, |account| account.waba_id);
        let identity = Identity::new(batch.tenant, &waba_id, &item.template.name, &item.template.language);
        let template = self.templates.commands.load(&StreamId::new(batch.tenant, identity.id.0)).await?;
        let same = template.known().is_some_and(|it| say_the_same(&it.components, &item.template.components));
        Ok((template, same))
    }

    /// The name is taken: by what is asked for, or by something else.
    async fn there(&self, batch: &HeldBatch, item: &HeldItem, message: String) -> AppResult<Outcome> {
        let (template, same) = self.namesake(batch, item).await?;
        let (template_id, code) = (template.known().map(|it| it.id), "template_exists".to_owned());
        if !same {
            let message = format!("{message}; it says something else");
            let failure = Some(Failure { code, message, problems: Vec::new() });
            return Ok(Outcome { state: ItemState::Failed, template_id, failure });
        }
        // What an attempt that was cut off brought about is this job's.
        let state = if item.attempts > 1 { ItemState::Submitted } else { ItemState::AlreadyThere };
        Ok(Outcome { state, template_id, failure: None })
    }
}

/// Whether the same may work in a while.
fn may_pass(error: &AppError) -> bool {
    match error {
        AppError::Conflict { code, .. } => ["template_being_submitted", "contended"].contains(code),
        AppError::Upstream { code, .. } => ["submission_in_doubt", "provider_unreachable"].contains(code),
        AppError::Unavailable | AppError::ProviderUnavailable(_) | AppError::Internal(_) => true,
        _ => false,
    }
}

fn failed(error: AppError) -> Outcome {
    let message = error.to_string();
    let (code, problems) = match error {
        AppError::Invalid { problems, .. } => ("invalid_request", problems),
        AppError::Conflict { code, .. } | AppError::Upstream { code, .. } => (code, Vec::new()),
        AppError::Unavailable | AppError::ProviderUnavailable(_) => ("unavailable", Vec::new()),
        _ => ("internal", Vec::new()),
    };
    let failure = Some(Failure { code: code.to_owned(), message, problems });
    Outcome { state: ItemState::Failed, template_id: None, failure }
}
