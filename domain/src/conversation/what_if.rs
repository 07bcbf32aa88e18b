//! What a recorded run would have been on another graph: its recorded inputs, replayed on a candidate by the
//! code that runs live, and the two compared. Nothing is sent, nobody is asked, no clock is read.

mod compare;
mod walk;

#[cfg(test)]
mod faithful;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::conversation::Conversation;
use crate::conversation::command::PublishedFlow;
use crate::conversation::error::ConversationError;
use crate::conversation::event::{ConversationEvent, HeldBackReason, RunInput};
use crate::flow::run::{Outcome, Visit};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::ids::RunId;

string_enum! {
    /// What moved a run.
    Cue {
        /// It started.
        Start = "start",
        /// The customer wrote.
        Reply = "reply",
        /// Its deadline passed.
        Timeout = "timeout",
        /// The channel accepted or refused its message.
        Delivery = "delivery",
        /// It waited longer than a run may.
        Expiry = "expiry",
    }
}

/// A message a run wanted to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What.
    pub content: OutboundContent,
    /// Why it was not sent, if so.
    pub held_back: Option<HeldBackReason>,
}

/// One unit of work, as far as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// What moved the run.
    pub cue: Cue,
    /// When.
    pub at: DateTime<Utc>,
    /// The nodes it went through. Empty for an expiry, and for a start that only sends a template.
    pub path: Vec<Visit>,
    /// How the run ended with it; nothing when it waits.
    pub outcome: Option<Outcome>,
    /// What it wanted to send, in order.
    pub wanted: Vec<Wanted>,
}

/// Where the two runs part: the first unit of work that took another path, ended otherwise, or is in one only.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// Which unit of work, from 0.
    pub unit: usize,
    /// As recorded; nothing when only the replayed run moved.
    pub recorded: Option<Unit>,
    /// As replayed; nothing when only the recorded run moved.
    pub replayed: Option<Unit>,
}

/// A message that would have been another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As recorded.
    pub before: Wanted,
    /// As replayed.
    pub after: Wanted,
}

/// A recorded run compared with its replay. The same path can still say other words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Where the paths part; nothing when they are the same.
    pub divergence: Option<Divergence>,
    /// Messages only the replayed run wanted.
    pub added: Vec<Wanted>,
    /// Messages only the recorded run wanted.
    pub removed: Vec<Wanted>,
    /// Messages both wanted, in other words.
    pub changed: Vec<Change>,
}

/// Replays one run on a candidate. `before` is the conversation as it was when the run started; `events` is what
/// happened in it from `FlowRunStarted` on, to the run's end and the silence after it (see [`is_silence`]).
///
/// The candidate gets what the recorded run got, at the moments it got it: the customer's messages, news of
/// messages, the lead as it was read, other people's messages, the end by a person or by another flow. Its
/// n-th message stands for the recorded run's n-th when the channel's news of that one come; of a message nobody
/// sent there is no news. A wait that ends at the moment the recorded one would have ended lasts as long as that
/// did; any other ends on the dot. When the recorded run has ended by itself, time goes on until something
/// happens in the conversation, or until `now`.
///
/// The scopes, the variables and the trigger are the recorded ones. The run starts at the recorded trigger node
/// of the candidate, else at its first one of that kind; a message trigger must match the recorded message. When
/// there is none, the run does not start: the divergence has no replayed unit and every send is removed.
/// `timezone` is not recorded with the run: it is the account's now.
///
/// # Errors
/// The events do not begin with `FlowRunStarted`, or the conversation has not begun.
pub fn replay(
    before: &Conversation,
    events: &[ConversationEvent],
    candidate: &PublishedFlow,
    timezone: chrono_tz::Tz,
    now: DateTime<Utc>,
) -> Result<Comparison, ConversationError> {
    let Some(ConversationEvent::FlowRunStarted { run_id, .. }) = events.first() else {
        return Err(ConversationError::NotFound);
    };
    let replayed = walk::walk(before, events, candidate, timezone, now)?;
    Ok(compare::compare(units(*run_id, events), replayed))
}

/// Whether a run ends with this event.
pub fn ends(event: &ConversationEvent, run: RunId) -> bool {
    matches!(event, ConversationEvent::FlowRunEnded { run_id, .. } if *run_id == run)
}

/// Whether nobody says or does anything new with this event: it is the channel's news of a message, or a new try of one.
pub const fn is_silence(event: &ConversationEvent) -> bool {
    matches!(
        event,
        ConversationEvent::MessageSent { .. }
            | ConversationEvent::TemplateChosen { .. }
            | ConversationEvent::MessageDelivered { .. }
            | ConversationEvent::MessageRead { .. }
            | ConversationEvent::MessageFailed { .. }
            | ConversationEvent::MessageFailedLate { .. }
            | ConversationEvent::MessageRetried { .. }
    )
}

/// The units of work of a run. Its end by a person or by another flow is none: it comes from outside.
fn units(run: RunId, events: &[ConversationEvent]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let unit = |cue, at, path| Unit { cue, at, path, outcome: None, wanted: Vec::new() };
    for event in events {
        match event {
            ConversationEvent::FlowRunStarted { run_id, at, .. } if *run_id == run => {
                units.push(unit(Cue::Start, *at, Vec::new()));
            }
            ConversationEvent::FlowRunStepped { run_id, input, path, at, .. } if *run_id == run => {
                let cue = Cue::of(input);
                match units.last_mut() {
                    Some(started) if cue == Cue::Start => started.path.clone_from(path),
                    Some(_) | None => units.push(unit(cue, *at, path.clone())),
                }
            }
            ConversationEvent::FlowRunEnded { run_id, outcome, at, .. } if *run_id == run => match outcome {
                Outcome::Completed | Outcome::HandedOff | Outcome::Failed | Outcome::Looping => {
                    if let Some(last) = units.last_mut() {
                        last.outcome = Some(*outcome);
                    }
                }
                Outcome::Expired => {
                    units.push(Unit { outcome: Some(*outcome), ..unit(Cue::Expiry, *at, Vec::new()) });
                }
                Outcome::Superseded | Outcome::Stopped => {}
            },
            other => {
                if let Some((wanted, last)) = wanted_by(run, other).zip(units.last_mut()) {
                    last.wanted.push(wanted);
                }
            }
        }
    }
    units
}

/// The message a run wanted with this event.
fn wanted_by(run: RunId, event: &ConversationEvent) -> Option<Wanted> {
    match event {
        ConversationEvent::MessageQueued { run_id, content, .. } if *run_id == Some(run) => {
            Some(Wanted { content: as_asked(content), held_back: None })
        }
        ConversationEvent::MessageHeldBack { run_id, content, reason, .. } if *run_id == run => {
            Some(Wanted { content: as_asked(content), held_back: Some(*reason) })
        }
        _ => None,
    }
}

/// The message without the template a group happened to give it.
fn as_asked(content: &OutboundContent) -> OutboundContent {
    match content {
        OutboundContent::Template(template) if template.group_id.is_some() || template.template_id.is_some() => {
            let (name, language) = (String::new(), String::new());
            OutboundContent::Template(TemplateContent { name, language, ..template.clone() })
        }
        other => other.clone(),
    }
}

impl Cue {
    const fn of(input: &RunInput) -> Self {
        match input {
            RunInput::Start => Self::Start,
            RunInput::Reply { .. } => Self::Reply,
            RunInput::Timeout => Self::Timeout,
            RunInput::Delivery { .. } => Self::Delivery,
        }
    }
}
