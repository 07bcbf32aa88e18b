//! The proof that a replay is faithful: whatever happened to a run, replayed on its own graph it is the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::Aggregate as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conversation::Conversation;
use crate::conversation::command::{
    ConversationCommand, DeliveryNews, Handling, Library, Participants, PublishedFlow, RunRequest, Surroundings,
};
use crate::conversation::event::{ConversationEvent, HeldBackReason, TriggerKind};
use crate::conversation::template_choice::TemplateChoices;
use crate::conversation::what_if::{Comparison, Cue, Unit, replay, units};
use crate::decide::Decide;
use crate::flow::drawflow;
use crate::flow::graph::{Graph, Node, NodeId};
use crate::flow::nodes;
use crate::flow::properties::{Plan, nodes_of, plans};
use crate::flow::run::{Outcome, Variables};
use crate::shared::channel::{Address, Channel};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{ContactId, FlowId, MessageId, UserId};
use crate::shared::inbound::{InboundKind, InboundMessage};
use crate::shared::phone::Phone;

/// Something that happens to a conversation, and a number that says how.
pub(super) type Happening = (u8, u32);

/// A conversation that things happen to, and everything recorded of it.
pub(super) struct World {
    conversation: Conversation,
    /// The log: events as they come back from JSON.
    pub(super) log: Vec<ConversationEvent>,
    now: DateTime<Utc>,
    flows: Vec<PublishedFlow>,
    lead: Option<Value>,
    drawn: u128,
}

/// A flow of one of the world's graphs.
pub(super) fn flow(id: u128, expires_after_sec: u32, graph: Graph) -> PublishedFlow {
    PublishedFlow {
        flow_id: FlowId(Uuid::from_u128(id)),
        name: "flow".into(),
        version: 1,
        graph: Arc::new(graph),
        expires_after_sec,
        reads_lead: true,
    }
}

/// A keyword that sends a text.
fn keyword(id: u128, word: &str, beats_waiting_run: bool) -> PublishedFlow {
    let node = |id: u8, name: &str, data: Value, to: Value| json!({"id": id, "name": name, "data": data, "inputs": {}, "outputs": to});
    let next = json!({"output_1": {"connections": [{"node": "1", "output": "input_1"}]}});
    let trigger = json!({"keywords": [word], "priority": 5, "beatsWaitingRun": beats_waiting_run});
    let nodes = json!({"0": node(0, "trigger_message", trigger, next), "1": node(1, "send_text", json!({"text": "10"}), json!({}))});
    let read = drawflow::read(&json!({"drawflow": {"Home": {"data": nodes}}})).expect("a graph");
    flow(id, 3600, read.graph)
}

impl World {
    /// A world in which this flow takes every message that no keyword takes.
    pub(super) fn new(subject: PublishedFlow) -> Self {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let flows = vec![subject, keyword(2, "price", true), keyword(3, "hours", false)];
        Self { conversation: Conversation::default(), log: Vec::new(), now, flows, lead: None, drawn: 0 }
    }

    fn around(&mut self) -> Surroundings {
        self.drawn += 1;
        let library = Library { active: self.flows.clone().into(), pinned: None };
        let (lead, seed) = (self.lead.clone(), Uuid::from_u128(self.drawn));
        Surroundings {
            library,
            lead,
            timezone: chrono_tz::Asia::Jerusalem,
            now: self.now,
            seed,
            templates: TemplateChoices::AsAsked,
        }
    }

    fn when(&mut self, command: ConversationCommand) {
        for event in self.conversation.decide(command).unwrap_or_default() {
            let stored = serde_json::to_string(&event).expect("JSON");
            let event: ConversationEvent = serde_json::from_str(&stored).expect("an event");
            self.conversation.apply(event.clone());
            self.log.push(event);
        }
    }

    /// Time passes, in seconds.
    pub(super) fn rests(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    /// Makes it happen.
    pub(super) fn happens(&mut self, (what, how): Happening) {
        let pick = how as usize;
        match what {
            0..=4 => self.writes(how),
            5 | 6 => self.timer(what == 6, how),
            7 | 8 => self.news(pick),
            9 => {
                let seconds = [0, 1, 45, 61, 3700, 90_000, 15 * 86_400];
                self.rests(seconds[pick % seconds.len()]);
            }
            10 => self.starts(how),
            11 => {
                let handling = [Handling::Claim, Handling::Release, Handling::Close, Handling::Reopen][pick % 4];
                let by = UserId(Uuid::from_u128(1));
                self.when(ConversationCommand::Handle { handling, by, expected_version: None, at: self.now });
            }
            12 => {
                let content = OutboundContent::Text { text: "a person".into(), preview_url: false };
                let (by, message_id) = (UserId(Uuid::from_u128(1)), MessageId(self.around().seed));
                self.when(ConversationCommand::Reply { by, message_id, content, at: self.now });
            }
            13 if how.is_multiple_of(4) => (0..22).for_each(|_| self.writes(3)),
            _ => self.lead = (how % 4 > 0).then(|| json!({"n": how % 4, "name": "Dana"})).or(self.lead.take()),
        }
        self.now += TimeDelta::milliseconds(i64::from(how % 3) * 250);
    }

    fn writes(&mut self, how: u32) {
        let text = ["hi", "7", "2", "price", "hours", "a", "b", "7"][how as usize % 8];
        let kind = if how.is_multiple_of(11) { InboundKind::Reaction } else { InboundKind::Text };
        self.now += TimeDelta::milliseconds(i64::from(how % 2));
        self.says(kind, text, how.is_multiple_of(7).then(|| format!("Dana {how}")));
    }

    /// The customer writes.
    pub(super) fn says(&mut self, kind: InboundKind, text: &str, name: Option<String>) {
        let around = self.around();
        let message = InboundMessage {
            provider_message_id: format!("wamid.{}", self.drawn),
            kind,
            text: Some(text.into()),
            choice: None,
            media: None,
            location: None,
            refers_to: None,
            raw: None,
            sent_at: self.now - TimeDelta::milliseconds(400),
        };
        self.when(ConversationCommand::Receive { participants: participants(name), message, around });
    }

    /// The newest timer fires: a little late when its time was waited for, else too early or never again.
    pub(super) fn timer(&mut self, waits: bool, how: u32) {
        let newest = self.log.iter().rev().find_map(|event| match event {
            ConversationEvent::FlowRunWaiting { run_id, step, resume_at, .. } => Some((*run_id, *step, *resume_at)),
            _ => None,
        });
        let Some((run_id, step, resume_at)) = newest else { return };
        if waits {
            self.now = self.now.max(resume_at + TimeDelta::milliseconds(i64::from(how % 4) * 130));
        }
        let around = self.around();
        self.when(ConversationCommand::Timer { run_id, step, around });
    }

    fn news(&mut self, pick: usize) {
        let queued = self.log.iter().rev().filter_map(|event| match event {
            ConversationEvent::MessageQueued { message_id, .. } => Some(*message_id),
            _ => None,
        });
        let queued: Vec<MessageId> = queued.take(3).collect();
        let Some(message_id) = queued.get(pick % 5 % 3).copied() else { return };
        self.hears(message_id, DeliveryStatus::ALL[1 + pick % 4], !pick.is_multiple_of(3));
    }

    /// The channel tells of a message, by its own clock, which is a second behind.
    fn hears(&mut self, message_id: MessageId, status: DeliveryStatus, identified: bool) {
        let provider_message_id = identified.then(|| format!("wamid.out.{message_id}"));
        let at = self.now - TimeDelta::seconds(1);
        let news = DeliveryNews {
            message_id,
            status,
            provider_message_id,
            error: None,
            possible_duplicate: false,
            retry: 0,
            at,
        };
        let around = self.around();
        self.when(ConversationCommand::Delivery { news, around });
    }

    fn starts(&mut self, how: u32) {
        let template = TemplateContent { name: "hello".into(), language: "en".into(), ..Default::default() };
        let request = Box::new(RunRequest {
            flow: self.flows[0].clone(),
            node: NodeId("outbound".into()),
            trigger: TriggerKind::Outbound,
            payload: json!({"n": how}),
            variables: Variables::from_iter([("n".to_owned(), json!(how % 9))]),
            template: how.is_multiple_of(2).then_some(template),
            needs_open_window: false,
            bulk_send_id: None,
        });
        let around = self.around();
        self.when(ConversationCommand::StartRun { participants: participants(None), request, around });
    }

    /// Every run that was started, by its place in the log.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, FlowId)> {
        self.log.iter().enumerate().filter_map(|(place, event)| match event {
            ConversationEvent::FlowRunStarted { flow_id, .. } => Some((place, *flow_id)),
            _ => None,
        })
    }

    /// Replays the run that was started there.
    pub(super) fn replay(&self, place: usize, candidate: &PublishedFlow) -> Comparison {
        let mut before = Conversation::default();
        self.log[..place].iter().for_each(|event| before.apply(event.clone()));
        replay(&before, &self.log[place..], candidate, chrono_tz::Asia::Jerusalem, self.now).expect("a run")
    }

    fn units(&self, place: usize) -> Vec<Unit> {
        match &self.log[place] {
            ConversationEvent::FlowRunStarted { run_id, .. } => units(*run_id, &self.log[place..]),
            _ => Vec::new(),
        }
    }
}

fn participants(name: Option<String>) -> Participants {
    Participants {
        contact_id: ContactId(Uuid::from_u128(7)),
        channel: Channel::Whatsapp,
        line: "1".into(),
        address: Address::of_phone(Phone::parse("+972501234567").expect("a phone")),
        name,
    }
}

/// The planned graph, whose texts say what the run knows, with one more node that runs are started at from outside.
fn graph(plan: &Plan) -> Graph {
    let mut all = nodes_of(plan);
    let read = |name, data: Value| nodes::read(name, &data).expect("a kind").expect("its data");
    for node in all.values_mut().filter(|node| node.kind_name == "send_text") {
        node.kind =
            read("send_text", json!({"text": "{{ n }} {{ lead.n }} {{ contact.name }} {{ trigger.text }} {{ now }}"}));
    }
    let kind = read("trigger_outbound", json!({}));
    let targets = [("next".to_owned(), NodeId("1".into()))].into();
    all.insert(NodeId("outbound".into()), Node { kind_name: "trigger_outbound".into(), kind, targets });
    Graph::new(all)
}

/// A plan whose first node takes every message, and how long its runs last.
fn subject() -> impl Strategy<Value = (Plan, u32)> {
    let expiry = prop::sample::select(vec![30_u32, 3600, 14 * 86_400]);
    (plans(), expiry).prop_map(|(mut plan, expiry)| {
        if let Some(first) = plan.first_mut() {
            *first = (0, vec![1]);
        }
        (plan, expiry)
    })
}

#[test]
fn a_run_on_its_own_graph_is_the_same_run() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::with_cases(1000), rng);
    let seen = std::cell::RefCell::new(BTreeSet::<String>::new());
    let histories = (subject(), prop::collection::vec((0..15_u8, 0..1000_u32), 1..60));
    let result = runner.run(&histories, |((plan, expiry), happenings)| {
        let mut world = World::new(flow(1, expiry, graph(&plan)));
        happenings.into_iter().for_each(|happening| world.happens(happening));
        for (place, flow_id) in world.runs() {
            let own = world.flows.iter().find(|flow| flow.flow_id == flow_id).expect("its flow");
            prop_assert_eq!(world.replay(place, own), Comparison::default());
            for unit in world.units(place) {
                let mut seen = seen.borrow_mut();
                seen.insert(unit.cue.to_string());
                seen.extend(unit.outcome.map(|it| it.to_string()));
                seen.extend(unit.wanted.iter().filter_map(|it| it.held_back).map(|it| it.to_string()));
            }
        }
        for event in &world.log {
            if let ConversationEvent::FlowRunEnded { outcome, .. } = event {
                seen.borrow_mut().insert(outcome.to_string());
            }
        }
        Ok(())
    });
    result.expect("every replay is the same");
    let cues = Cue::ALL.iter().map(|it| it.to_string());
    let outcomes = Outcome::ALL.iter().map(|it| it.to_string());
    for what in cues.chain(outcomes).chain([HeldBackReason::WindowClosed.to_string()]) {
        assert!(seen.borrow().contains(&what), "no history had {what}");
    }
}
