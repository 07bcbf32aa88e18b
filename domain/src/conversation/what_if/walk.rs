//! The replay itself: what was recorded of the outside moves a run on the candidate.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::command::{DeliveryNews, Library, PublishedFlow, Surroundings};
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::{ConversationEvent, RunInput, TriggerKind};
use crate::conversation::flow_run::Sender;
use crate::conversation::receive::waits_for_reply;
use crate::conversation::template_choice::TemplateChoices;
use crate::conversation::what_if::{Unit, ends, units};
use crate::flow::engine::Input;
use crate::flow::graph::{Graph, NodeId};
use crate::flow::nodes::Trigger;
use crate::flow::run::{Outcome, Scopes, Wait, WaitFor};
use crate::shared::channel::Channel;
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{MessageId, RunId};
use crate::shared::inbound::InboundMessage;

/// A unit of work of the replayed run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Replayed {
    /// What it did.
    pub(super) unit: Unit,
    /// The recorded unit of work the same input led to, by its number; nothing when only the replay moved.
    pub(super) with: Option<usize>,
}

/// Replays the events of one run, the first of which is its `FlowRunStarted`.
pub(super) fn walk(
    before: &Conversation,
    events: &[ConversationEvent],
    candidate: &PublishedFlow,
    timezone: chrono_tz::Tz,
    now: DateTime<Utc>,
) -> Result<Vec<Replayed>, ConversationError> {
    let Some(ConversationEvent::FlowRunStarted { run_id, flow_id, version, scopes, at, .. }) = events.first() else {
        return Err(ConversationError::NotFound);
    };
    let candidate = PublishedFlow { flow_id: *flow_id, version: *version, ..candidate.clone() };
    let walk = Walk {
        draft: Draft::of(before),
        run: *run_id,
        timezone,
        lead: scopes.lead.clone(),
        clock: *at,
        units: 1,
        resume_at: None,
        recorded: Vec::new(),
        taken: 0,
        replayed: Vec::new(),
        candidate,
    };
    walk.over(events, now)
}

struct Walk {
    draft: Draft,
    run: RunId,
    candidate: PublishedFlow,
    timezone: chrono_tz::Tz,
    /// The lead as the recorded run last read it.
    lead: Value,
    /// The latest moment anything happened at.
    clock: DateTime<Utc>,
    /// Recorded units of work so far.
    units: usize,
    /// When the recorded run's wait ends.
    resume_at: Option<DateTime<Utc>>,
    /// Messages the recorded run queued so far.
    recorded: Vec<MessageId>,
    /// Events of the draft that are told already.
    taken: usize,
    replayed: Vec<Replayed>,
}

impl Walk {
    fn over(mut self, events: &[ConversationEvent], now: DateTime<Utc>) -> Result<Vec<Replayed>, ConversationError> {
        if !self.start(events)? {
            return Ok(self.replayed);
        }
        let mut rest = events.get(1..).unwrap_or_default();
        let mut ended = false;
        while let [event, after @ ..] = rest {
            rest = after;
            if self.is_own(event) {
                self.follow(event)?;
                ended |= ends(event, self.run);
                if stops(event) {
                    return Ok(self.replayed);
                }
                continue;
            }
            self.pass_time(event.at())?;
            if let Some(news) = news(event) {
                let (news, used) = joined(news, after.first());
                rest = &after[used..];
                self.hear(news, rest.first())?;
                continue;
            }
            if ended {
                return Ok(self.replayed);
            }
            self.draft.emit(event.clone());
            if let ConversationEvent::MessageReceived { message_id, message, at } = event {
                self.receive(*message_id, message, *at, after.first())?;
            }
        }
        self.pass_time(now)?;
        Ok(self.replayed)
    }

    /// Starts the run on the candidate; false when it has no node to start at.
    fn start(&mut self, events: &[ConversationEvent]) -> Result<bool, ConversationError> {
        let Some(ConversationEvent::FlowRunStarted { trigger, node, scopes, variables, at, .. }) = events.first()
        else {
            return Ok(false);
        };
        let channel = self.draft.begun()?.channel;
        let Some(node) = start_node(&self.candidate.graph, node, *trigger, scopes, channel) else { return Ok(false) };
        let lasts = chrono::TimeDelta::seconds(i64::from(self.candidate.expires_after_sec));
        self.draft.emit(ConversationEvent::FlowRunStarted {
            run_id: self.run,
            flow_id: self.candidate.flow_id,
            version: self.candidate.version,
            trigger: *trigger,
            node: node.clone(),
            scopes: scopes.clone(),
            variables: variables.clone(),
            expires_at: *at + lasts,
            at: *at,
        });
        let around = self.around(*at);
        match events.get(1) {
            // A template that was sent ahead of the graph goes out again as it was.
            Some(
                ConversationEvent::MessageQueued { run_id: Some(run_id), content, .. }
                | ConversationEvent::MessageHeldBack { run_id, content, .. },
            ) if *run_id == self.run => {
                self.draft.send(Sender::flow(self.run), content.clone(), &around)?;
                self.draft.wait_at(node, Wait { wait_for: WaitFor::Reply, until: None, refused: 0 }, *at)?;
            }
            Some(_) | None => {
                let flow = self.candidate.clone();
                self.draft.unit(&flow, &Input::Start, RunInput::Start, &around)?;
            }
        }
        self.note(Some(0));
        Ok(true)
    }

    /// Whether it is the recorded run's own doing.
    fn is_own(&self, event: &ConversationEvent) -> bool {
        match event {
            ConversationEvent::MessageQueued { run_id, .. } => *run_id == Some(self.run),
            ConversationEvent::MessageHeldBack { run_id, .. }
            | ConversationEvent::FlowRunStepped { run_id, .. }
            | ConversationEvent::FlowRunWaiting { run_id, .. }
            | ConversationEvent::FlowRunEnded { run_id, .. }
            | ConversationEvent::LeadUpdateRequested { run_id, .. }
            | ConversationEvent::HandoffRequested { run_id, .. } => *run_id == self.run,
            _ => false,
        }
    }

    /// Keeps step with the recorded run. Its timers move the replayed one too, when that waits for the same moment.
    fn follow(&mut self, event: &ConversationEvent) -> Result<(), ConversationError> {
        match event {
            ConversationEvent::MessageQueued { message_id, .. } => self.recorded.push(*message_id),
            ConversationEvent::FlowRunWaiting { resume_at, .. } => self.resume_at = Some(*resume_at),
            ConversationEvent::FlowRunStepped { input, lead, at, .. } => {
                if *input == RunInput::Timeout {
                    self.time_is_up(*at, lead.as_ref())?;
                }
                if *input != RunInput::Start {
                    self.units += 1;
                }
                self.resume_at = None;
            }
            ConversationEvent::FlowRunEnded { outcome, at, .. } => {
                match outcome {
                    Outcome::Expired => self.time_is_up(*at, None)?,
                    Outcome::Superseded | Outcome::Stopped => self.pass_time(*at)?,
                    Outcome::Completed | Outcome::HandedOff | Outcome::Failed | Outcome::Looping => {}
                }
                self.resume_at = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// The recorded run's wait is over.
    fn time_is_up(&mut self, at: DateTime<Utc>, lead: Option<&Value>) -> Result<(), ConversationError> {
        self.pass_time(at)?;
        self.lead = lead.unwrap_or(&self.lead).clone();
        if self.resumes_at().is_some_and(|moment| Some(moment) == self.resume_at) {
            let around = self.around(at);
            self.draft.wake(&around)?;
            self.note(Some(self.units));
        }
        Ok(())
    }

    /// Ends every wait of the replayed run that is over by now, and that the recorded run does not share. Each
    /// takes a unit of work, so that it ends with `unit_limit` at last.
    fn pass_time(&mut self, now: DateTime<Utc>) -> Result<(), ConversationError> {
        while let Some(moment) = self.resumes_at().filter(|it| *it <= now && Some(*it) != self.resume_at) {
            let around = self.around(moment);
            self.draft.wake(&around)?;
            self.note(None);
        }
        self.clock = self.clock.max(now);
        Ok(())
    }

    /// When the replayed run's wait ends.
    fn resumes_at(&self) -> Option<DateTime<Utc>> {
        let run = self.draft.begun().ok()?.run.as_ref()?;
        let wait = run.wait.as_ref()?;
        Some(wait.until.map_or(run.expires_at, |until| until.min(run.expires_at)))
    }

    /// The customer wrote; `after` is what came of it. A message that set off another flow is no reply.
    fn receive(
        &mut self,
        message_id: MessageId,
        message: &InboundMessage,
        at: DateTime<Utc>,
        after: Option<&ConversationEvent>,
    ) -> Result<(), ConversationError> {
        let with = match after {
            Some(ConversationEvent::FlowRunEnded { run_id, outcome, .. }) if *run_id == self.run => match outcome {
                Outcome::Expired => Some(self.units),
                _ => return Ok(()),
            },
            Some(ConversationEvent::FlowRunStepped { input: RunInput::Reply { .. }, lead, .. }) => {
                self.lead = lead.as_ref().unwrap_or(&self.lead).clone();
                Some(self.units)
            }
            Some(_) | None => None,
        };
        if !message.kind.is_speech() || self.draft.begun()?.claimed_by.is_some() {
            return Ok(());
        }
        let around = self.around(at);
        self.draft.expire_run(&around);
        if self.draft.begun()?.run.as_ref().is_some_and(waits_for_reply) {
            self.draft.advance_run(&Input::Reply(message), Some(message_id), &around)?;
        }
        self.note(with);
        Ok(())
    }

    /// There is news of a message; `after` is what came of it.
    fn hear(&mut self, news: DeliveryNews, after: Option<&ConversationEvent>) -> Result<(), ConversationError> {
        let Some(message_id) = self.counterpart(news.message_id) else { return Ok(()) };
        let mut accepted = news.status != DeliveryStatus::Failed;
        let (mut with, mut at) = (None, self.clock);
        if let Some(ConversationEvent::FlowRunStepped {
            input: RunInput::Delivery { accepted: told },
            lead,
            at: moved,
            ..
        }) = after
        {
            (accepted, with, at) = (*told, Some(self.units), *moved);
            self.lead = lead.as_ref().unwrap_or(&self.lead).clone();
        }
        if self.draft.learn(DeliveryNews { message_id, ..news })? {
            let around = self.around(at);
            self.draft.advance_run(&Input::Delivery(accepted), None, &around)?;
            self.note(with);
        }
        Ok(())
    }

    /// The replayed run's message that stands for one of the recorded run; other messages stand for themselves.
    fn counterpart(&self, recorded: MessageId) -> Option<MessageId> {
        let Some(index) = self.recorded.iter().position(|id| *id == recorded) else { return Some(recorded) };
        let mut queued = self.draft.events.iter().filter_map(|event| match event {
            ConversationEvent::MessageQueued { message_id, run_id, .. } if *run_id == Some(self.run) => {
                Some(*message_id)
            }
            _ => None,
        });
        queued.nth(index)
    }

    fn around(&mut self, now: DateTime<Utc>) -> Surroundings {
        self.clock = self.clock.max(now);
        Surroundings {
            library: Library { active: [].into(), pinned: Some(self.candidate.clone()) },
            lead: Some(self.lead.clone()),
            timezone: self.timezone,
            now,
            seed: self.run.0,
            templates: TemplateChoices::AsAsked,
        }
    }

    /// Takes down the unit of work the replayed run did just now, if it did one.
    fn note(&mut self, with: Option<usize>) {
        let done = units(self.run, &self.draft.events[self.taken..]);
        self.taken = self.draft.events.len();
        self.replayed.extend(done.into_iter().map(|unit| Replayed { unit, with }));
    }
}

/// Whether a run ends with this event because of somebody outside.
const fn stops(event: &ConversationEvent) -> bool {
    matches!(event, ConversationEvent::FlowRunEnded { outcome: Outcome::Superseded | Outcome::Stopped, .. })
}

/// What an event tells of a message.
fn news(event: &ConversationEvent) -> Option<DeliveryNews> {
    let at = event.at();
    let news = |message_id: &MessageId, status| DeliveryNews {
        message_id: *message_id,
        status,
        provider_message_id: None,
        error: None,
        possible_duplicate: false,
        retry: 0,
        at,
    };
    match event {
        ConversationEvent::MessageSent { message_id, provider_message_id, possible_duplicate, .. } => {
            let (provider_message_id, possible_duplicate) = (Some(provider_message_id.clone()), *possible_duplicate);
            Some(DeliveryNews { provider_message_id, possible_duplicate, ..news(message_id, DeliveryStatus::Sent) })
        }
        ConversationEvent::MessageDelivered { message_id, .. } => Some(news(message_id, DeliveryStatus::Delivered)),
        ConversationEvent::MessageRead { message_id, .. } => Some(news(message_id, DeliveryStatus::Read)),
        ConversationEvent::MessageFailed { message_id, error, .. } => {
            Some(DeliveryNews { error: Some(error.clone()), ..news(message_id, DeliveryStatus::Failed) })
        }
        _ => None,
    }
}

/// News that told the channel's id and a status at once is two events; this puts them together again.
fn joined(sent: DeliveryNews, next: Option<&ConversationEvent>) -> (DeliveryNews, usize) {
    let same = |next: &DeliveryNews| next.message_id == sent.message_id && next.at == sent.at;
    match next.and_then(news).filter(|next| sent.status == DeliveryStatus::Sent && same(next)) {
        Some(next) => (DeliveryNews { status: next.status, error: next.error, ..sent }, 1),
        None => (sent, 0),
    }
}

/// Where a run would start on this graph.
fn start_node(
    graph: &Graph,
    recorded: &NodeId,
    kind: TriggerKind,
    scopes: &Scopes,
    channel: Channel,
) -> Option<NodeId> {
    let text = scopes.trigger.get("text").and_then(Value::as_str);
    let starts = |trigger: Trigger<'_>| match (trigger, kind) {
        (Trigger::Message(trigger), TriggerKind::Message) => trigger.matches(text, channel),
        (Trigger::Outbound(_), TriggerKind::Outbound)
        | (Trigger::LeadApi(_), TriggerKind::LeadApi)
        | (Trigger::Api(_), TriggerKind::Api) => true,
        _ => false,
    };
    let same = graph.node(recorded).and_then(|node| node.kind.trigger()).is_some_and(starts);
    if same {
        return Some(recorded.clone());
    }
    let mut others = graph.triggers().filter(|(_, node)| node.kind.trigger().is_some_and(starts));
    others.next().map(|(id, _)| id.clone())
}
