//! What-if: recorded runs of a flow, replayed on a graph it does not run yet. Reads the log and nothing else;
//! writes nothing, sends nothing, asks nobody outside.

mod pass;
pub mod views;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::conversation::command::PublishedFlow;
use domain::conversation::event::ConversationEvent;
use domain::conversation::what_if;
use domain::flow::error::FlowError;
use domain::shared::ids::{ConversationId, FlowId, TenantId};
use serde_json::Value;

use crate::actor::Session;
use crate::conversations::ports::LineDirectory;
use crate::error::{AppError, AppResult};
use crate::flows::ports::{FlowLibrary, FlowReader};
use crate::flows::what_if::pass::{Met, Pass};
use crate::flows::what_if::views::{WhatIfAnswer, WhatIfRun, WhatIfTotal};
use crate::time::Clock;

/// Runs replayed when the caller does not say.
pub const RUNS_DEFAULT: u32 = 200;
/// Runs replayed at most.
pub const RUNS_MAX: u32 = 10_000;
/// Runs an answer shows at most.
pub const DETAILS_MAX: usize = 100;

/// Events of a conversation read at a time.
pub const EVENTS_PAGE: u16 = 500;

/// Which recorded runs are wanted: the newest ones that started in this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRange {
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: u32,
}

/// Where a run started in the log: the place of its `FlowRunStarted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPlace {
    /// The conversation.
    pub conversation: ConversationId,
    /// The event's number in it.
    pub sequence: i64,
}

/// An event of a conversation, by its number; nothing in it when the contact's data was erased.
pub type Told = (i64, Option<ConversationEvent>);

/// Finds recorded runs.
#[async_trait]
pub trait RecordedRuns: Send + Sync {
    /// Where runs of a flow started, of whatever version: the newest first, at most as many as are wanted.
    async fn find(&self, tenant: TenantId, flow: FlowId, range: &RunRange) -> AppResult<Vec<RunPlace>>;
    /// A conversation's events after a number, in order: [`EVENTS_PAGE`] of them, fewer at the end.
    async fn events(&self, tenant: TenantId, conversation: ConversationId, after: i64) -> AppResult<Vec<Told>>;
}

/// The graph that is tried.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// The flow's graph as last saved.
    Saved,
    /// This Drawflow JSON.
    Drawflow(Value),
    /// A published version.
    Version(u32),
}

/// Asks what would have been.
pub struct WhatIf {
    /// Flows.
    pub reader: Arc<dyn FlowReader>,
    /// Published versions.
    pub library: Arc<dyn FlowLibrary>,
    /// Recorded runs.
    pub runs: Arc<dyn RecordedRuns>,
    /// The account's time zone.
    pub lines: Arc<dyn LineDirectory>,
    /// Now: until then nothing has happened after what is recorded.
    pub clock: Arc<dyn Clock>,
}

impl WhatIf {
    /// Finds the runs and reads the candidate; the replay goes on by [`Replaying::next`].
    ///
    /// # Errors
    /// The flow or the version is not there, the graph has problems, or the range is empty.
    pub async fn ask(
        &self,
        session: &Session,
        id: FlowId,
        candidate: Candidate,
        range: RunRange,
    ) -> AppResult<Replaying> {
        let flow = self.reader.get(session.tenant, id).await?.ok_or(AppError::NotFound("flow"))?;
        if range.from.zip(range.to).is_some_and(|(from, to)| from >= to) {
            return Err(AppError::invalid("`from` must be before `to`"));
        }
        let read = |drawflow: &Value| PublishedFlow::read(id, flow.name.as_str().into(), flow.version, drawflow);
        let candidate = match candidate {
            Candidate::Saved => read(&flow.drawflow_data).map_err(FlowError::Graph)?,
            Candidate::Drawflow(drawflow) => read(&drawflow).map_err(FlowError::Graph)?,
            Candidate::Version(version) => {
                let found = self.library.version(session.tenant, id, version).await?;
                found.ok_or(AppError::NotFound("flow version"))?
            }
        };
        let line = self.lines.choose(session.tenant, None).await?;
        let places = self.runs.find(session.tenant, id, &range).await?;
        Ok(Replaying {
            runs: Arc::clone(&self.runs),
            tenant: session.tenant,
            candidate,
            timezone: line.map(|line| line.timezone).unwrap_or_default(),
            now: self.clock.now(),
            of: places.len(),
            waiting: by_conversation(&places),
            pass: None,
            total: WhatIfTotal::default(),
        })
    }
}

/// The runs of each conversation in order, so that each is read once; the conversation with the newest run first.
fn by_conversation(places: &[RunPlace]) -> VecDeque<Pass> {
    let mut order: Vec<ConversationId> = Vec::new();
    let mut found: HashMap<ConversationId, Vec<i64>> = HashMap::new();
    for place in places {
        let sequences = found.entry(place.conversation).or_insert_with(|| {
            order.push(place.conversation);
            Vec::new()
        });
        sequences.push(place.sequence);
    }
    let pass = |conversation| {
        let mut sequences = found.remove(&conversation).unwrap_or_default();
        sequences.sort_unstable();
        Pass::over(conversation, sequences)
    };
    order.into_iter().map(pass).collect()
}

/// A replay under way. Holds one run at a time, however many there are.
pub struct Replaying {
    runs: Arc<dyn RecordedRuns>,
    tenant: TenantId,
    candidate: PublishedFlow,
    timezone: chrono_tz::Tz,
    now: DateTime<Utc>,
    of: usize,
    waiting: VecDeque<Pass>,
    pass: Option<Pass>,
    total: WhatIfTotal,
}

impl Replaying {
    /// Replays the next run: conversation by conversation, the one with the newest run first, each one's runs in
    /// the order they ran. Nothing when all are done. Runs of erased contacts are counted and passed over.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn next(&mut self) -> AppResult<Option<WhatIfRun>> {
        loop {
            let Some(mut pass) = self.pass.take().or_else(|| self.waiting.pop_front()) else { return Ok(None) };
            match pass.next(&*self.runs, self.tenant).await? {
                Met::Nothing => {}
                Met::Erased(runs) => self.total.skipped += runs,
                Met::Run(run) => {
                    let compared = what_if::replay(&run.before, &run.events, &self.candidate, self.timezone, self.now)?;
                    self.total.add(&compared);
                    let shown = WhatIfRun::of(pass.conversation, &run.events, compared);
                    self.pass = Some(pass);
                    return Ok(shown);
                }
            }
        }
    }

    /// What all runs so far came to.
    pub const fn total(&self) -> &WhatIfTotal {
        &self.total
    }

    /// How many runs were found.
    pub const fn found(&self) -> usize {
        self.of
    }

    /// Replays everything that is left: the totals, and the first runs that would have been different.
    ///
    /// # Errors
    /// As [`Replaying::next`].
    pub async fn answer(mut self) -> AppResult<WhatIfAnswer> {
        let (mut details, mut details_truncated) = (Vec::new(), false);
        while let Some(run) = self.next().await? {
            if run.is_different() {
                if details.len() < DETAILS_MAX {
                    details.push(run);
                } else {
                    details_truncated = true;
                }
            }
        }
        let WhatIfTotal { runs, same, diverged, skipped, sends } = self.total;
        Ok(WhatIfAnswer { runs, same, diverged, skipped, sends, details, details_truncated })
    }
}
