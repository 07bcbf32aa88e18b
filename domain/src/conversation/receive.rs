//! A customer's message: what it starts, what it answers.

use crate::conversation::command::{Participants, PublishedFlow, RunRequest, Surroundings};
use crate::conversation::decide::Draft;
use crate::conversation::error::ConversationError;
use crate::conversation::event::{ConversationEvent, TriggerKind};
use crate::conversation::{Begun, Conversation};
use crate::flow::engine::Input;
use crate::flow::graph::NodeId;
use crate::flow::nodes::Trigger;
use crate::flow::nodes::trigger_message::TriggerMessage;
use crate::flow::run::{Outcome, Run, Variables, WaitFor};
use crate::shared::ids::MessageId;
use crate::shared::inbound::InboundMessage;

/// A trigger node that a message sets off.
struct Candidate<'a> {
    flow: &'a PublishedFlow,
    node: &'a NodeId,
    trigger: &'a TriggerMessage,
}

impl Conversation {
    pub(super) fn receive(
        &self,
        participants: Participants,
        message: InboundMessage,
        around: &Surroundings,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let at = around.now;
        let mut draft = Draft::of(self);
        draft.meet(participants, at);
        if draft.begun()?.closed && message.kind.is_speech() {
            draft.emit(ConversationEvent::Reopened { by: None, at });
        }
        // The wamid is the message's identity within its conversation.
        let message_id = MessageId::derive(draft.begun()?.contact_id.0, &message.provider_message_id);
        draft.emit(ConversationEvent::MessageReceived { message_id, message: message.clone(), at });
        if message.kind.is_speech() && draft.begun()?.claimed_by.is_none() {
            draft.answer(message_id, &message, around)?;
        }
        Ok(draft.events)
    }
}

impl Draft {
    /// A keyword beats a waiting run; a waiting run beats a catch-all.
    fn answer(
        &mut self,
        message_id: MessageId,
        message: &InboundMessage,
        around: &Surroundings,
    ) -> Result<(), ConversationError> {
        self.expire_run(around);
        let begun = self.begun()?;
        let run = begun.run.as_ref();
        if let Some(found) =
            best(begun, message, around, |it| it.is_keyword() && (run.is_none() || it.beats_waiting_run))
        {
            return self.start(found, message, around);
        }
        match run {
            Some(run) if waits_for_reply(run) => self.advance_run(&Input::Reply(message), Some(message_id), around),
            Some(_) => Ok(()),
            None => match best(begun, message, around, |it| !it.is_keyword()) {
                Some(found) => self.start(found, message, around),
                None => Ok(()),
            },
        }
    }

    fn start(
        &mut self,
        found: (PublishedFlow, NodeId),
        message: &InboundMessage,
        around: &Surroundings,
    ) -> Result<(), ConversationError> {
        let (flow, node) = found;
        let payload = serde_json::json!({
            "type": message.kind.as_str(), "text": message.text, "payload": message.raw, "messageId": message.provider_message_id,
        });
        let request = RunRequest {
            flow,
            node,
            trigger: TriggerKind::Message,
            payload,
            variables: Variables::new(),
            template: None,
            needs_open_window: false,
            bulk_send_id: None,
        };
        self.begin_run(request, around)
    }

    pub(super) fn expire_run(&mut self, around: &Surroundings) {
        let expired = self.state.0.as_ref().and_then(|it| it.run.as_ref()).filter(|run| run.expires_at <= around.now);
        if let Some(run_id) = expired.map(|run| run.id) {
            let at = around.now;
            self.emit(ConversationEvent::FlowRunEnded { run_id, outcome: Outcome::Expired, detail: None, at });
        }
    }
}

pub(super) fn waits_for_reply(run: &Run) -> bool {
    run.wait.as_ref().is_some_and(|wait| wait.wait_for == WaitFor::Reply)
}

/// The matching trigger of highest priority; among equals the oldest flow's first node.
fn best(
    begun: &Begun,
    message: &InboundMessage,
    around: &Surroundings,
    wanted: impl Fn(&TriggerMessage) -> bool,
) -> Option<(PublishedFlow, NodeId)> {
    let text = message.text.as_deref();
    let candidates = around.library.active.iter().flat_map(|flow| {
        flow.graph.nodes().filter_map(move |(node, it)| match it.kind.trigger() {
            Some(Trigger::Message(trigger)) => Some(Candidate { flow, node, trigger }),
            Some(Trigger::Outbound(_) | Trigger::LeadApi(_) | Trigger::Api(_)) | None => None,
        })
    });
    let mut best: Option<Candidate<'_>> = None;
    for candidate in candidates.filter(|it| wanted(it.trigger) && it.trigger.matches(text, begun.channel)) {
        if best.as_ref().is_none_or(|so_far| candidate.trigger.priority > so_far.trigger.priority) {
            best = Some(candidate);
        }
    }
    best.map(|it| (it.flow.clone(), it.node.clone()))
}
