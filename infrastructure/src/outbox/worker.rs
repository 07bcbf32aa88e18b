//! The sender: claims, sends, records what came of it.

use std::sync::Arc;
use std::time::Duration;

use application::actor::{Actor, Cause};
use application::channels::lines::{LineStops, LineStore};
use application::channels::{Channel, Line};
use application::commands::{Along, CommandError, Conclude, Once, Try};
use application::conversations::ports::{LineDirectory, LineFacts};
use application::conversations::runs::RunDecisions;
use domain::conversation::command::DeliveryNews;
use domain::conversation::error::ConversationError;
use domain::shared::delivery::DeliveryStatus;
use domain::shared::provider_error::{ErrorClass, ProviderError};
use sqlx::PgPool;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outbox::claim::{self, Back, Claimed};
use crate::outbox::departures::Departures;
use crate::outbox::handoff::{Handed, Handoff};
use crate::outbox::in_doubt;
use crate::outbox::limits::{Limits, Right};
use crate::outbox::outcome::{Verdict, judge};

/// Messages claimed at a time: few, because what is claimed and has not left when the process dies waits for its lease.
const CLAIM_MAX: usize = 48;
/// How long after a look at the outbox the next one may come: what is due by then is claimed together.
const APART: Duration = Duration::from_millis(10);
/// How often the outbox is looked at without being woken.
const IDLE: Duration = Duration::from_millis(250);
/// How often leases and doubts are looked at.
const SWEEP: Duration = Duration::from_secs(2);
/// A rate limit that ends sooner is waited for with the message in hand; it is claimed once, not twice.
const HELD_MAX: Duration = Duration::from_millis(100);
/// How long a message waits on a line that is stopped, in seconds.
const STOPPED_LINE_SEC: f64 = 30.0;
/// How long nothing is claimed of a line that was found stopped: its queue is not taken up and put back in vain.
const STOPPED_LINE_LOOK: Duration = Duration::from_secs(2);

/// Sends what appends hand on, and what waits in the outbox.
pub struct Outbox {
    /// The database.
    pub pool: PgPool,
    /// Where messages go.
    pub channel: Arc<dyn Channel>,
    /// The lines' tokens.
    pub lines: Arc<dyn LineStore>,
    /// Stops a line whose account may not send.
    pub stops: Arc<dyn LineStops>,
    /// The lines' accounts.
    pub directory: Arc<dyn LineDirectory>,
    /// Records what came of a message.
    pub decisions: Arc<RunDecisions>,
    /// What appends and we share.
    pub handoff: Arc<Handoff>,
    /// The last moment before a message leaves.
    pub departures: Departures,
}

impl Outbox {
    /// Sends until `stop`; then waits for what is in flight.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let mut handed = self.handoff.open();
        let handed_on = async {
            while let Some(Handed { message, right, place }) = handed.recv().await {
                self.spawn(&tasks, message, Some(right), place);
            }
        };
        tokio::join!(handed_on, self.run_waiting(&tasks, &stop));
        tasks.close();
        tasks.wait().await;
    }

    /// Sends what waits in the outbox until `stop`.
    async fn run_waiting(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let mut sweeps = tokio::time::interval(SWEEP);
        while !stop.is_cancelled() {
            let looked = Instant::now();
            let free = self.handoff.places.available_permits().min(CLAIM_MAX);
            self.handoff.looks();
            let claimed = match self.claim(free).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(%error, "The outbox cannot be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Vec::new()
                }
            };
            let full = !claimed.is_empty() && claimed.len() == free;
            for message in claimed {
                if let Ok(place) = Arc::clone(&self.handoff.places).acquire_owned().await {
                    self.spawn(tasks, message, None, place);
                }
            }
            if full {
                continue;
            }
            tokio::select! {
                () = self.handoff.awaited() => {}
                () = tokio::time::sleep(IDLE) => {}
                _ = sweeps.tick() => self.sweep().await,
                () = stop.cancelled() => {}
            }
            tokio::time::sleep_until(looked + APART).await;
        }
        self.handoff.close();
    }

    fn spawn(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        message: Claimed,
        right: Option<Right>,
        place: OwnedSemaphorePermit,
    ) {
        let outbox = Arc::clone(self);
        tasks.spawn(async move {
            outbox.send(message, right).await;
            drop(place);
            outbox.handoff.done();
        });
    }

    async fn claim(&self, free: usize) -> Result<Vec<Claimed>, sqlx::Error> {
        let mut claimed = Vec::new();
        if free > 0 {
            let (closed, closed_to_broadcasts) = self.limits().closed_lines();
            let most = i64::try_from(free).unwrap_or(1);
            claimed = claim::claim(&self.pool, most, &closed, &closed_to_broadcasts).await?;
        }
        if !claimed.is_empty() || claim::any_waits(&self.pool).await? {
            self.handoff.still_waits();
        }
        Ok(claimed)
    }

    async fn sweep(&self) {
        self.limits().forget_quiet();
        match in_doubt::sweep(&self.pool).await {
            Ok((0, 0)) => {}
            Ok((doubtful, again)) => tracing::warn!(doubtful, again, "Messages in doubt moved on"),
            Err(error) => tracing::warn!(%error, "Messages in doubt could not be looked at"),
        }
    }

    async fn send(&self, message: Claimed, right: Option<Right>) {
        let (line, facts) = match (self.lines.open(&message.bucket).await, self.directory.find(&message.bucket).await) {
            (_, Ok(facts)) if facts.as_ref().is_none_or(|facts| facts.tenant != message.tenant) => {
                // The account was closed; the number may be somebody else's by now.
                return self.bury(&message, "the account has no such line any more").await;
            }
            (Ok(Some(line)), Ok(Some(facts))) if line.tenant == message.tenant => (line, facts),
            (Err(error), _) | (_, Err(error)) => {
                return self.put_back(&message, 1.0, Back::Held(&error.to_string())).await;
            }
            (Ok(_), Ok(_)) => {
                self.limits().hold(&message.bucket, STOPPED_LINE_LOOK);
                return self.put_back(&message, STOPPED_LINE_SEC, Back::Held("the line is stopped")).await;
            }
        };
        let Some(content) = message.content.clone().filter(|_| !message.expired) else {
            let title = if message.expired { "it waited too long to be sent" } else { "its content cannot be read" };
            let error = ProviderError { code: 0, class: ErrorClass::Request, title: title.into(), details: None };
            return self.record_failure(&facts, &message, error).await;
        };
        let mut right = match self.may_leave(&message, &line, right).await {
            Ok(right) => right,
            Err(wait) => {
                return self.put_back(&message, wait.as_secs_f64(), Back::Held("held by a rate limit")).await;
            }
        };
        if !self.departures.leave(&message).await {
            // Somebody else has it by now, or the database cannot be reached: nothing left.
            return;
        }
        right.used();
        let known = Try { conversation: message.lane, message: message.message_id, retry: message.retry }.correlation();
        let answer = self.channel.send(&line, &message.recipient, &content, &known).await;
        drop(right);
        let verdict = judge(answer, message.attempts, message.resent);
        metrics::counter!("outbox_answers_total", "verdict" => verdict.word()).increment(1);
        self.conclude(&line, &facts, message, verdict).await;
    }

    /// Waits a little for the limits of line and pair, or says how long they would take.
    async fn may_leave(&self, message: &Claimed, line: &Line, right: Option<Right>) -> Result<Right, Duration> {
        self.limits().learn(&message.bucket, line.messages_per_second);
        let right = match right {
            Some(right) => right,
            None => soon(|| self.limits().take(&message.bucket, message.is_broadcast)).await?,
        };
        if line.pair_limit {
            soon(|| self.limits().take_pair(&message.bucket, &message.recipient.to_string())).await?;
        }
        Ok(right)
    }

    fn limits(&self) -> &Arc<Limits> {
        &self.handoff.limits
    }

    async fn conclude(&self, line: &Line, facts: &LineFacts, message: Claimed, verdict: Verdict) {
        match verdict {
            Verdict::Sent(accepted) => {
                let provider_id = accepted.provider_message_id;
                let along = Along {
                    mark: vec![Once::outbound(&provider_id, message.message_id, message.retry)],
                    conclude: Some(Conclude::Leased { id: message.id, token: message.token }),
                    ..Along::default()
                };
                self.record(facts, &message, DeliveryStatus::Sent, Some(provider_id), None, along).await;
            }
            Verdict::Failed(error) => self.record_failure(facts, &message, error).await,
            Verdict::Again { after, line: slow_down, error } => {
                if slow_down {
                    self.limits().block(&message.bucket, after);
                }
                self.put_back(&message, after.as_secs_f64(), Back::Refused { error: &error, counts: true }).await;
            }
            Verdict::StopLine(error) => {
                if let Err(error) = self.stops.stop(&line.phone_number_id, &error, self.decisions.now()).await {
                    tracing::warn!(%error, "The stop could not be stored");
                }
                self.put_back(&message, STOPPED_LINE_SEC, Back::Refused { error: &error, counts: false }).await;
            }
            Verdict::InDoubt(error) => {
                tracing::warn!(message = %message.message_id, error, "A message is in doubt");
                if let Err(error) = in_doubt::doubt(&self.pool, &message, &error).await {
                    // Its lease runs out, and that says the same.
                    tracing::warn!(%error, "A doubt could not be stored");
                }
            }
        }
    }

    async fn record_failure(&self, facts: &LineFacts, message: &Claimed, error: ProviderError) {
        let conclude = Conclude::Buried { id: message.id, token: message.token, error: error.clone() };
        let along = Along { conclude: Some(conclude), ..Along::default() };
        self.record(facts, message, DeliveryStatus::Failed, None, Some(error), along).await;
    }

    /// What the channel said is recorded however long the database takes; if we die before, the message is in doubt.
    async fn record(
        &self,
        facts: &LineFacts,
        message: &Claimed,
        status: DeliveryStatus,
        provider_message_id: Option<String>,
        error: Option<ProviderError>,
        along: Along,
    ) {
        let (message_id, possible_duplicate, retry) = (message.message_id, message.resent, message.retry);
        let correlation = message_id.0;
        let causation = Some(format!("outbox:{}", message.id));
        let cause = Cause { actor: Actor::Channel, correlation, causation, once: None };
        loop {
            let at = self.decisions.now();
            let (provider_message_id, error) = (provider_message_id.clone(), error.clone());
            let news = DeliveryNews { message_id, status, provider_message_id, error, possible_duplicate, retry, at };
            match self.decisions.record_delivery(facts, message.lane, news, &cause, along.clone()).await {
                Ok(_) => return,
                Err(CommandError::LeaseLost) => {
                    return tracing::warn!(%message_id, "A message was taken over or settled by its status");
                }
                Err(CommandError::Unavailable | CommandError::Contended) => {
                    tokio::time::sleep(Duration::from_millis(500)).await
                }
                Err(
                    error @ (CommandError::Rule(ConversationError::NotFound)
                    | CommandError::ContactErased
                    | CommandError::AlreadyDone
                    | CommandError::Occupied
                    | CommandError::Rule(_)
                    | CommandError::Internal(_)),
                ) => {
                    return tracing::error!(%message_id, %error, "What came of a message could not be recorded");
                }
            }
        }
    }

    async fn bury(&self, message: &Claimed, why: &str) {
        if let Err(error) = claim::bury(&self.pool, message, why).await {
            // Its lease runs out, and it is claimed again.
            tracing::warn!(%error, "A message could not be buried");
        }
    }

    async fn put_back(&self, message: &Claimed, seconds: f64, why: Back<'_>) {
        if let Err(error) = claim::put_back(&self.pool, message, seconds, why).await {
            // Its lease runs out: it is in doubt then, though nothing left. Safe, if late.
            tracing::warn!(%error, "A message could not be given back");
        }
    }
}

/// Takes what a limit refuses for a moment only.
async fn soon<T>(take: impl Fn() -> Result<T, Duration>) -> Result<T, Duration> {
    loop {
        match take() {
            Err(wait) if wait <= HELD_MAX => tokio::time::sleep(wait).await,
            taken => return taken,
        }
    }
}

impl Verdict {
    const fn word(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Failed(_) => "failed",
            Self::Again { .. } => "again",
            Self::StopLine(_) => "stop_line",
            Self::InDoubt(_) => "in_doubt",
        }
    }
}
