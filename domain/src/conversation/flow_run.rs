//! The run in a conversation: how it starts, moves, waits and ends, in events.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::conversation::command::{Participants, PublishedFlow, RunRequest, Surroundings};
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::{Author, ConversationEvent, HeldBackReason, RunInput};
use crate::conversation::{BULK_MESSAGE, Begun, Conversation, LOOP_MESSAGES, LOOP_WINDOW, fingerprint};
use crate::flow::engine::{self, Input};
use crate::flow::run::{Action, Env, Outcome, Rest, Run, Scopes, Wait, WaitFor};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::ids::{BulkSendId, MessageId, RunId};

impl Conversation {
    pub(super) fn start_run(
        &self,
        participants: Participants,
        request: RunRequest,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let mut draft = Draft::of(self);
        draft.meet(participants, around.now);
        let begun = draft.begun()?;
        if begun.claimed_by.is_some() {
            return Err(ConversationError::Claimed);
        }
        if request.needs_open_window && request.template.is_none() && !begun.window_open(around.now) {
            return Err(ConversationError::WindowClosed);
        }
        draft.begin_run(request, around)?;
        Ok(draft.events)
    }

    pub(super) fn send_template(
        &self,
        participants: Participants,
        content: TemplateContent,
        bulk_send_id: Option<BulkSendId>,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let mut draft = Draft::of(self);
        draft.meet(participants, around.now);
        draft.refuse_unavailable(&content, around)?;
        let by = Sender { author: Author::System, run_id: None, bulk_send_id };
        draft.send(by, OutboundContent::Template(content), around)?;
        Ok(draft.events)
    }

    /// A timer for a wait that is over is ignored: it carries the run and the wait it was set for.
    pub(super) fn fire_timer(
        &self,
        run_id: RunId,
        step: u32,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        if !self.begun()?.run.as_ref().is_some_and(|run| run.id == run_id && run.step == step) {
            return Ok(vec![]);
        }
        let mut draft = Draft::of(self);
        draft.wake(around)?;
        Ok(draft.events)
    }
}

impl Draft {
    /// Starts a run; one under way gives way.
    pub(super) fn begin_run(&mut self, request: RunRequest, around: &Surroundings) -> Result<(), ConversationError> {
        let at = around.now;
        if let Some(run) = &self.begun()?.run {
            let run_id = run.id;
            self.emit(ConversationEvent::FlowRunEnded { run_id, outcome: Outcome::Superseded, detail: None, at });
        }
        let run_id = RunId::derive(around.seed, "run");
        let scopes = scopes(self.begun()?, &request, around);
        let RunRequest { flow, node, trigger, variables, template, bulk_send_id, .. } = request;
        self.emit(ConversationEvent::FlowRunStarted {
            run_id,
            flow_id: flow.flow_id,
            version: flow.version,
            trigger,
            node: node.clone(),
            scopes,
            variables,
            expires_at: at + TimeDelta::seconds(i64::from(flow.expires_after_sec)),
            at,
        });
        let first = match template {
            Some(template) if bulk_send_id.is_some() || !self.speaks_at_once(&flow, around)? => template,
            Some(_) | None => return self.unit(&flow, &Input::Start, RunInput::Start, around),
        };
        self.refuse_unavailable(&first, around)?;
        let by = Sender { author: Author::Flow, run_id: Some(run_id), bulk_send_id };
        self.send(by, OutboundContent::Template(first), around)?;
        self.wait_at(node, Wait { wait_for: WaitFor::Reply, until: None, refused: 0 }, at)
    }

    /// Whether the flow may talk, and does so before it waits: then no template has to open the conversation.
    fn speaks_at_once(&self, flow: &PublishedFlow, around: &Surroundings) -> Result<bool, ConversationError> {
        let begun = self.begun()?;
        let Some(run) = begun.run.as_ref().filter(|_| begun.window_open(around.now)) else { return Ok(false) };
        let env = Env { now: around.now, timezone: around.timezone, window_open: true };
        let turn = engine::advance(&flow.graph, run, &Input::Start, &env);
        Ok(turn.actions.iter().any(|action| matches!(action, Action::Send(_))))
    }

    /// Whoever asks for a template first is told when there is none; nothing happens then.
    fn refuse_unavailable(&self, wanted: &TemplateContent, around: &Surroundings) -> Result<(), ConversationError> {
        match around.templates.of(wanted)? {
            Some(choice) if choice.chosen.is_none() => Err(ConversationError::TemplateUnavailable(choice.reasons())),
            Some(_) | None => Ok(()),
        }
    }

    /// Moves the run under way; `message_id` is the reply's.
    pub(super) fn advance_run(
        &mut self,
        input: &Input<'_>,
        message_id: Option<MessageId>,
        around: &Surroundings,
    ) -> Result<(), ConversationError> {
        let Some(run) = &self.begun()?.run else { return Ok(()) };
        let (flow_id, version) = (run.flow_id, run.version);
        let flow = around.library.graph(flow_id, version).ok_or(ConversationError::GraphNeeded { flow_id, version })?;
        let recorded = match input {
            Input::Start => RunInput::Start,
            Input::Reply(message) => RunInput::Reply {
                message_id: message_id.unwrap_or_else(|| MessageId::derive(around.seed, &message.provider_message_id)),
            },
            Input::Timeout => RunInput::Timeout,
            Input::Delivery(accepted) => RunInput::Delivery { accepted: *accepted },
        };
        self.unit(&flow.clone(), input, recorded, around)
    }

    /// The clock reached the moment the run waits for, or the end of its time.
    pub(super) fn wake(&mut self, around: &Surroundings) -> Result<(), ConversationError> {
        let Some(run) = &self.begun()?.run else { return Ok(()) };
        if run.wait.as_ref().and_then(|wait| wait.until).is_some_and(|until| until <= around.now) {
            return self.advance_run(&Input::Timeout, None, around);
        }
        self.expire_run(around);
        Ok(())
    }

    /// One unit of work, in events.
    pub(super) fn unit(
        &mut self,
        flow: &PublishedFlow,
        input: &Input<'_>,
        recorded: RunInput,
        around: &Surroundings,
    ) -> Result<(), ConversationError> {
        let (at, begun) = (around.now, self.begun()?);
        let Some(run) = &begun.run else { return Ok(()) };
        let mut seen = run.clone();
        // A lead that is gone is an empty one: null would read as nothing new.
        let gone = |lead: Value| if lead.is_null() && !seen.scopes.lead.is_null() { json!({}) } else { lead };
        let lead = around.lead.clone().map(gone).filter(|lead| *lead != seen.scopes.lead);
        if let Some(lead) = &lead {
            seen.scopes.lead.clone_from(lead);
        }
        let env = Env { now: at, timezone: around.timezone, window_open: begun.window_open(at) };
        let turn = engine::advance(&flow.graph, &seen, input, &env);
        let (run_id, unit) = (run.id, run.units + 1);
        self.emit(ConversationEvent::FlowRunStepped {
            run_id,
            unit,
            input: recorded,
            path: turn.path,
            set: turn.changed,
            lead,
            warnings: turn.warnings,
            at,
        });
        let (mut unseen, by) = (None, Sender::flow(run_id));
        for action in turn.actions {
            match action {
                Action::Send(content) => match self.send(by, content, around)? {
                    Sending::Queued => unseen = None,
                    Sending::HeldBack(reason) => unseen = Some(reason),
                    Sending::RunEnded => return Ok(()),
                },
                Action::UpdateLead(change) => self.emit(ConversationEvent::LeadUpdateRequested { run_id, change, at }),
                Action::HandOff(handoff) => self.emit(ConversationEvent::HandoffRequested { run_id, handoff, at }),
            }
        }
        match (turn.rest, unseen) {
            // Nobody answers a question that was not sent: the next message would be taken for the answer.
            (Rest::Waiting { wait: Wait { wait_for: WaitFor::Reply, .. }, .. }, Some(reason)) => {
                let (outcome, detail) = (Outcome::Failed, Some(reason.to_string()));
                self.emit(ConversationEvent::FlowRunEnded { run_id, outcome, detail, at });
                Ok(())
            }
            // What was never sent will not be heard of.
            (Rest::Waiting { node, wait }, Some(_)) if wait.wait_for == WaitFor::Delivery => {
                self.wait_at(node, wait, at)?;
                self.advance_run(&Input::Delivery(false), None, around)
            }
            (Rest::Waiting { node, wait }, _) => self.wait_at(node, wait, at),
            (Rest::Ended { outcome, detail }, _) => {
                self.emit(ConversationEvent::FlowRunEnded { run_id, outcome, detail, at });
                Ok(())
            }
        }
    }

    pub(super) fn wait_at(
        &mut self,
        node: crate::flow::graph::NodeId,
        wait: Wait,
        at: DateTime<Utc>,
    ) -> Result<(), ConversationError> {
        if let Some(run) = &self.begun()?.run {
            let resume_at = wait.until.map_or(run.expires_at, |until| until.min(run.expires_at));
            let (run_id, step) = (run.id, run.step + 1);
            self.emit(ConversationEvent::FlowRunWaiting { run_id, step, node, wait, resume_at, at });
        }
        Ok(())
    }

    /// Queues a message, or records why not.
    pub(super) fn send(
        &mut self,
        by: Sender,
        content: OutboundContent,
        around: &Surroundings,
    ) -> Result<Sending, ConversationError> {
        let at = around.now;
        let choice = match &content {
            OutboundContent::Template(wanted) => around.templates.of(wanted)?.cloned(),
            _ => None,
        };
        let chosen = choice.as_ref().map(|choice| choice.chosen.as_ref());
        let content = match (content, chosen.flatten()) {
            (OutboundContent::Template(wanted), Some(chosen)) => OutboundContent::Template(wanted.with(chosen)),
            (content, _) => content,
        };
        let message_id = match by.bulk_send_id {
            Some(_) => MessageId::derive(around.seed, BULK_MESSAGE),
            None => MessageId::derive(around.seed, &format!("message:{}", self.events.len())),
        };
        let begun = self.begun()?;
        let reason = if begun.repeats(&content, at) {
            Some(HeldBackReason::Looping)
        } else if chosen == Some(None) {
            Some(HeldBackReason::TemplateUnavailable)
        } else if !content.needs_no_window() && !begun.window_open(at) {
            Some(HeldBackReason::WindowClosed)
        } else {
            None
        };
        let (line, to) = (begun.line.clone(), begun.address.clone());
        let Sender { author, run_id, bulk_send_id } = by;
        match (reason, run_id) {
            (None, run_id) => {
                self.emit(ConversationEvent::MessageQueued {
                    message_id,
                    author,
                    user_id: None,
                    run_id,
                    bulk_send_id,
                    content,
                    line,
                    to,
                    at,
                });
            }
            (Some(reason), Some(run_id)) => {
                self.emit(ConversationEvent::MessageHeldBack { message_id, run_id, content, reason, at });
                if reason == HeldBackReason::Looping {
                    self.emit(ConversationEvent::FlowRunEnded { run_id, outcome: Outcome::Looping, detail: None, at });
                    return Ok(Sending::RunEnded);
                }
            }
            // Without a run only a template that may be sent comes this far.
            (Some(_), None) => {}
        }
        self.explain(message_id, choice, at);
        Ok(reason.map_or(Sending::Queued, Sending::HeldBack))
    }
}

/// On whose behalf a message goes out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    author: Author,
    run_id: Option<RunId>,
    bulk_send_id: Option<BulkSendId>,
}

impl Sender {
    /// A run.
    pub(super) const fn flow(run: RunId) -> Self {
        Self { author: Author::Flow, run_id: Some(run), bulk_send_id: None }
    }
}

/// What became of a message.
pub(super) enum Sending {
    Queued,
    HeldBack(HeldBackReason),
    RunEnded,
}

impl Begun {
    fn repeats(&self, content: &OutboundContent, now: DateTime<Utc>) -> bool {
        let wanted = fingerprint(content);
        let same = |(said, at): &&(u64, DateTime<Utc>)| *said == wanted && now - *at < LOOP_WINDOW;
        self.said.iter().filter(same).count() >= LOOP_MESSAGES
    }

    pub(super) fn apply_run(&mut self, event: ConversationEvent) {
        if let ConversationEvent::FlowRunStarted {
            run_id, flow_id, version, node, scopes, variables, expires_at, ..
        } = event
        {
            let (wait, step, units) = (None, 0, 0);
            self.run =
                Some(Run { id: run_id, flow_id, version, node, wait, step, units, variables, scopes, expires_at });
            self.run_message = None;
            return;
        }
        let Some(run) = &mut self.run else { return };
        match event {
            ConversationEvent::FlowRunStepped { unit, path, set, lead, .. } => {
                run.units = unit;
                run.wait = None;
                run.variables.extend(set);
                if let Some(lead) = lead {
                    run.scopes.lead = lead;
                }
                if let Some(last) = path.last() {
                    run.node = last.node.clone();
                }
            }
            ConversationEvent::FlowRunWaiting { step, node, wait, .. } => {
                (run.step, run.node, run.wait) = (step, node, Some(wait));
            }
            ConversationEvent::FlowRunEnded { .. } => self.run = None,
            _ => {}
        }
    }
}

fn scopes(begun: &Begun, request: &RunRequest, around: &Surroundings) -> Scopes {
    Scopes {
        contact: json!({ "id": begun.contact_id, "name": begun.name, "phone": begun.address.phone, "userId": begun.address.user_id }),
        lead: around.lead.clone().unwrap_or_default(),
        conversation: json!({ "channel": begun.channel, "line": begun.line, "labels": Value::Array(vec![]) }),
        flow: json!({ "id": request.flow.flow_id, "name": &*request.flow.name, "version": request.flow.version }),
        trigger: request.payload.clone(),
    }
}
