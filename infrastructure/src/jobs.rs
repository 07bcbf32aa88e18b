//! Work for later: timers of waiting runs, changes a flow asked for elsewhere, letters. At least once, with an effect
//! that is recorded once: the rules ignore a timer that comes late and a change that is so already.

use std::sync::Arc;
use std::time::Duration;

use application::actor::{Actor, Cause};
use application::bulk::ports::OptOuts;
use application::commands::{Along, Commands};
use application::conversations::ports::LineDirectory;
use application::conversations::runs::RunDecisions;
use application::effects::Work;
use application::error::{AppError, AppResult};
use application::leads::Leads;
use application::templates::fallback::Fallback;
use application::templates::groups::TemplateGroups;
use domain::conversation::Conversation;
use domain::flow::run::LeadChange;
use domain::lead::command::LeadFacts;
use domain::shared::ids::{StreamId, TenantId};
use futures::stream::{self, StreamExt};
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::event_store::commands::Pokes;
use crate::post::SealedPost;
use crate::postgres::app_error;

/// Jobs claimed at a time.
const CLAIM_MAX: i64 = 64;
/// Jobs under way at once.
const UNDER_WAY_MAX: usize = 16;
/// Tries of a job.
const ATTEMPTS_MAX: i32 = 8;
/// How often due jobs are looked for: how late a timer may be.
const IDLE: Duration = Duration::from_millis(250);

/// Does what is due.
pub struct Jobs {
    /// The database.
    pub pool: PgPool,
    /// Moves runs.
    pub decisions: Arc<RunDecisions>,
    /// Conversations, for their line.
    pub conversations: Arc<dyn Commands<Conversation>>,
    /// The lines' accounts.
    pub directory: Arc<dyn LineDirectory>,
    /// Leads.
    pub leads: Arc<Leads>,
    /// Groups of templates.
    pub groups: Arc<TemplateGroups>,
    /// Who wants no messages of many.
    pub opt_outs: Arc<dyn OptOuts>,
    /// What follows a template's refusal.
    pub fallback: Fallback,
    /// Letters.
    pub post: SealedPost,
    /// Wakes us.
    pub pokes: Arc<Pokes>,
}

struct Job {
    id: i64,
    token: Uuid,
    tenant: TenantId,
    work: Option<Work>,
    attempts: i32,
}

impl Jobs {
    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.claim().await {
                Ok(jobs) if jobs.is_empty() => {}
                Ok(jobs) => {
                    stream::iter(jobs).for_each_concurrent(UNDER_WAY_MAX, |job| self.work(job)).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "The jobs cannot be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            tokio::select! {
                () = self.pokes.jobs.notified() => {}
                () = tokio::time::sleep(IDLE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Job>, sqlx::Error> {
        let rows = sqlx::query(
            "with due as (
                select id from jobs where not dead and run_at <= now() and (locked_until is null or locked_until < now())
                 order by run_at, id limit $1 for update skip locked)
             update jobs j set attempts = attempts + 1, locked_until = now() + interval '60 seconds', lock_token = gen_random_uuid()
               from due where j.id = due.id returning j.id, j.lock_token, j.tenant_id, j.work, j.attempts",
        )
        .bind(CLAIM_MAX)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Job {
                    id: row.try_get("id")?,
                    token: row.try_get("lock_token")?,
                    tenant: TenantId(row.try_get("tenant_id")?),
                    work: row.try_get::<Json<Work>, _>("work").ok().map(|work| work.0),
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    async fn work(&self, job: Job) {
        let done = match job.work.clone() {
            Some(work) => self.perform(job.tenant, job.id, work).await,
            None => Err(AppError::invalid("the job cannot be read")),
        };
        let written = match done {
            Ok(()) => self.finish(&job).await,
            Err(error) => {
                let lasting =
                    !matches!(error, AppError::Unavailable | AppError::Conflict { .. } | AppError::Internal(_));
                let dead = lasting || job.attempts >= ATTEMPTS_MAX;
                let reason = match &error {
                    AppError::Internal(source) => source.to_string(),
                    other => other.to_string(),
                };
                tracing::warn!(job = job.id, dead, reason, "A job failed");
                self.put_off(&job, dead, &reason).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(job = job.id, %error, "A job's end could not be stored; it will run again");
        }
    }

    async fn perform(&self, tenant: TenantId, id: i64, work: Work) -> AppResult<()> {
        let causation = Some(format!("job:{id}"));
        match work {
            Work::Timer { conversation, run_id, step } => {
                let state = self.conversations.load(&StreamId::new(tenant, conversation.0)).await?;
                let line = self.directory.find(&state.begun()?.line).await?.ok_or(AppError::NotFound("line"))?;
                let cause = Cause { actor: Actor::System, correlation: run_id.0, causation, once: None };
                self.decisions.fire_timer(&line, conversation, run_id, step, &cause).await
            }
            Work::UpdateLead { phone, name, change } => {
                let LeadChange { status, fields, add_tags, remove_tags } = change;
                let facts =
                    LeadFacts { profile_name: name, status, fields, add_tags, remove_tags, ..LeadFacts::default() };
                let cause = Cause { actor: Actor::System, correlation: Uuid::nil(), causation, once: None };
                self.leads.record(tenant, &cause, phone, facts, Along::default()).await.map(drop)
            }
            Work::JoinGroup { group, create_as, member } => {
                let cause = Cause { actor: Actor::System, correlation: Uuid::nil(), causation, once: None };
                self.groups.join(tenant, group, create_as, member, &cause).await
            }
            Work::OptOut { phone, at } => self.opt_outs.set(tenant, &phone, "131050", true, at).await,
            Work::AnswerRefusal { conversation, message_id, retry, error } => {
                let cause = Cause { actor: Actor::System, correlation: message_id.0, causation, once: None };
                self.fallback.refused(tenant, &cause, (conversation, message_id, retry), error).await
            }
            Work::Letter { sealed } => self.post.deliver(tenant, &sealed, &format!("letter-{id}")).await,
        }
    }

    async fn finish(&self, job: &Job) -> AppResult<()> {
        let done = sqlx::query("delete from jobs where id = $1 and lock_token = $2").bind(job.id).bind(job.token);
        done.execute(&self.pool).await.map(drop).map_err(app_error)
    }

    async fn put_off(&self, job: &Job, dead: bool, error: &str) -> AppResult<()> {
        sqlx::query(
            "update jobs set dead = $3, last_error = $4, locked_until = null, lock_token = null,
                    run_at = now() + interval '1 second' * least(2 ^ attempts, 3600) * (0.5 + random() / 2)
              where id = $1 and lock_token = $2",
        )
        .bind(job.id)
        .bind(job.token)
        .bind(dead)
        .bind(error)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(app_error)
    }
}
