//! What is shown of a what-if.

use domain::conversation::event::{ConversationEvent, HeldBackReason};
use domain::conversation::what_if::{Change, Comparison, Cue, Divergence, Unit, Wanted};
use domain::flow::run::Outcome;
use domain::shared::ids::{ConversationId, RunId};
use serde::Serialize;
use serde_json::Value;

use crate::time::Stamp;

/// Messages of one kind that are shown of one run at most; the totals count all.
const SENDS_SHOWN_MAX: usize = 50;

macro_rules! shown {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        #[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
        #[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", skip_serializing_if_is_none))]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }
    )+ };
}

shown! {
    /// A node that was visited.
    WhatIfVisit {
        /// The node.
        node: String,
        /// Its kind.
        kind: String,
        /// The exit it was left by; absent when the run waited or ended there.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<String>,
    }

    /// What a run did after one input.
    WhatIfUnit {
        /// What moved it: `start`, `reply`, `timeout`, `delivery` or `expiry`.
        input: Cue,
        /// When.
        at: Stamp,
        /// The nodes it went through.
        path: Vec<WhatIfVisit>,
        /// How the run ended with it; absent when it waited.
        #[serde(skip_serializing_if = "Option::is_none")]
        outcome: Option<Outcome>,
    }

    /// Where a run would have gone another way for the first time.
    WhatIfDivergence {
        /// Which input, from 0.
        input: u64,
        /// What the run did; absent when only the replay moved.
        #[serde(skip_serializing_if = "Option::is_none")]
        recorded: Option<WhatIfUnit>,
        /// What it would have done; absent when only the recorded run moved.
        #[serde(skip_serializing_if = "Option::is_none")]
        replayed: Option<WhatIfUnit>,
    }

    /// A message a run wanted to send.
    WhatIfSend {
        /// Its content, by `type`.
        content: Value,
        /// Why it was held back, if it was: `window_closed` or `looping`.
        #[serde(skip_serializing_if = "Option::is_none")]
        held_back: Option<HeldBackReason>,
    }

    /// A message that would have been another one.
    WhatIfChange {
        /// As it was.
        before: WhatIfSend,
        /// As it would have been.
        after: WhatIfSend,
    }

    /// Messages that would have been different, at most 50 of each kind.
    WhatIfSends {
        /// Sent only by the candidate.
        added: Vec<WhatIfSend>,
        /// Sent only by the recorded run.
        removed: Vec<WhatIfSend>,
        /// Sent by both, in other words.
        changed: Vec<WhatIfChange>,
    }

    /// One run.
    WhatIfRun {
        /// The conversation it ran in.
        conversation_id: ConversationId,
        /// The run.
        run_id: RunId,
        /// The version it ran on.
        version: u32,
        /// When it started.
        started_at: Stamp,
        /// Whether the path is the same.
        same: bool,
        /// Where it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        divergence: Option<WhatIfDivergence>,
        /// What would have been sent otherwise.
        sends: WhatIfSends,
    }

    /// How many messages would have been different.
    WhatIfCounts {
        /// Sent only by the candidate.
        added: u64,
        /// Sent only by recorded runs.
        removed: u64,
        /// Sent by both, in other words.
        changed: u64,
    }

    /// What all runs come to.
    WhatIfTotal {
        /// Runs that were replayed.
        runs: u64,
        /// Runs on the same path.
        same: u64,
        /// Runs on another path.
        diverged: u64,
        /// Runs that were not replayed, because the contact's data was erased.
        skipped: u64,
        /// Messages.
        sends: WhatIfCounts,
    }

    /// What all runs come to, with those that would have been different.
    WhatIfAnswer {
        /// Runs that were replayed.
        runs: u64,
        /// Runs on the same path.
        same: u64,
        /// Runs on another path.
        diverged: u64,
        /// Runs that were not replayed, because the contact's data was erased.
        skipped: u64,
        /// Messages.
        sends: WhatIfCounts,
        /// The first 100 runs that took another path or would have sent something else.
        details: Vec<WhatIfRun>,
        /// Whether there are more of them.
        details_truncated: bool,
    }
}

impl Default for WhatIfTotal {
    fn default() -> Self {
        let sends = WhatIfCounts { added: 0, removed: 0, changed: 0 };
        Self { runs: 0, same: 0, diverged: 0, skipped: 0, sends }
    }
}

impl WhatIfTotal {
    /// Counts a run in.
    pub(super) const fn add(&mut self, compared: &Comparison) {
        self.runs += 1;
        if compared.divergence.is_none() {
            self.same += 1;
        } else {
            self.diverged += 1;
        }
        self.sends.added += compared.added.len() as u64;
        self.sends.removed += compared.removed.len() as u64;
        self.sends.changed += compared.changed.len() as u64;
    }
}

impl WhatIfRun {
    /// A run, by its events; nothing when they do not begin with its start.
    pub(super) fn of(
        conversation_id: ConversationId,
        events: &[ConversationEvent],
        compared: Comparison,
    ) -> Option<Self> {
        let ConversationEvent::FlowRunStarted { run_id, version, at, .. } = events.first()? else { return None };
        let Comparison { divergence, added, removed, changed } = compared;
        let sends = WhatIfSends { added: shown(added), removed: shown(removed), changed: shown(changed) };
        Some(Self {
            conversation_id,
            run_id: *run_id,
            version: *version,
            started_at: Stamp(*at),
            same: divergence.is_none(),
            divergence: divergence.map(WhatIfDivergence::from),
            sends,
        })
    }

    /// Whether anything would have been different.
    pub const fn is_different(&self) -> bool {
        let WhatIfSends { added, removed, changed } = &self.sends;
        !(self.same && added.is_empty() && removed.is_empty() && changed.is_empty())
    }
}

fn shown<T, U: From<T>>(all: Vec<T>) -> Vec<U> {
    all.into_iter().take(SENDS_SHOWN_MAX).map(U::from).collect()
}

impl From<Wanted> for WhatIfSend {
    fn from(wanted: Wanted) -> Self {
        let Wanted { content, held_back } = wanted;
        Self { content: serde_json::to_value(content).unwrap_or_default(), held_back }
    }
}

impl From<Change> for WhatIfChange {
    fn from(change: Change) -> Self {
        Self { before: change.before.into(), after: change.after.into() }
    }
}

impl From<Divergence> for WhatIfDivergence {
    fn from(divergence: Divergence) -> Self {
        let Divergence { unit, recorded, replayed } = divergence;
        Self { input: unit as u64, recorded: recorded.map(Into::into), replayed: replayed.map(Into::into) }
    }
}

impl From<Unit> for WhatIfUnit {
    fn from(unit: Unit) -> Self {
        let Unit { cue, at, path, outcome, .. } = unit;
        let visit = |it: domain::flow::run::Visit| WhatIfVisit { node: it.node.0, kind: it.kind, exit: it.exit };
        Self { input: cue, at: Stamp(at), path: path.into_iter().map(visit).collect(), outcome }
    }
}
