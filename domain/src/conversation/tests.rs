//! What a conversation agrees to: given, when, then.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conversation::Conversation;
use crate::conversation::command::{
    ConversationCommand, DeliveryNews, Handling, Library, Participants, PublishedFlow, RunRequest, Surroundings,
};
use crate::conversation::error::ConversationError;
use crate::conversation::event::{ConversationEvent, TriggerKind};
use crate::conversation::template_choice::TemplateChoices;
use crate::decide::Decide;
use crate::flow::drawflow;
use crate::flow::graph::NodeId;
use crate::flow::run::{Outcome, Variables};
use crate::shared::channel::{Address, Channel};
use crate::shared::content::{OutboundContent, TemplateContent};
use crate::shared::delivery::DeliveryStatus;
use crate::shared::ids::{ContactId, FlowId, MessageId, UserId};
use crate::shared::inbound::{InboundKind, InboundMessage};
use crate::shared::phone::Phone;

const NOA: UserId = UserId(Uuid::from_u128(1));
const DAN: UserId = UserId(Uuid::from_u128(2));

/// A conversation, its clock and the flows around it.
struct Story {
    conversation: Conversation,
    now: DateTime<Utc>,
    flows: Vec<PublishedFlow>,
    steps: u128,
}

impl Story {
    fn new(flows: Vec<PublishedFlow>) -> Self {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        Self { conversation: Conversation::default(), now, flows, steps: 0 }
    }

    fn after(mut self, time: TimeDelta) -> Self {
        self.now += time;
        self
    }

    fn around(&self) -> Surroundings {
        let library = Library { active: self.flows.clone().into(), pinned: None };
        let seed = Uuid::from_u128(self.steps);
        Surroundings {
            library,
            lead: None,
            timezone: chrono_tz::UTC,
            now: self.now,
            seed,
            templates: TemplateChoices::AsAsked,
        }
    }

    fn when(&mut self, command: ConversationCommand) -> Result<Vec<ConversationEvent>, ConversationError> {
        self.steps += 1;
        let events = self.conversation.decide(command)?;
        for event in &events {
            self.conversation.apply_event(event.clone());
        }
        Ok(events)
    }

    fn writes(&mut self, text: &str) -> Vec<ConversationEvent> {
        let message = InboundMessage {
            provider_message_id: format!("wamid.{}", self.steps),
            kind: InboundKind::Text,
            text: Some(text.to_owned()),
            choice: None,
            media: None,
            location: None,
            refers_to: None,
            raw: None,
            sent_at: self.now,
        };
        let around = self.around();
        self.when(ConversationCommand::Receive { participants: participants(), message, around }).expect("it is heard")
    }

    fn handled(&mut self, handling: Handling, by: UserId) -> Result<Vec<ConversationEvent>, ConversationError> {
        self.when(ConversationCommand::Handle { handling, by, expected_version: None, at: self.now })
    }

    fn started(
        &mut self,
        flow: PublishedFlow,
        template: Option<TemplateContent>,
        needs_open_window: bool,
    ) -> Result<Vec<ConversationEvent>, ConversationError> {
        let request = Box::new(RunRequest {
            flow,
            node: NodeId("1".into()),
            trigger: TriggerKind::Outbound,
            payload: Value::Null,
            variables: Variables::new(),
            template,
            needs_open_window,
            bulk_send_id: None,
        });
        let around = self.around();
        self.when(ConversationCommand::StartRun { participants: participants(), request, around })
    }

    fn retried(&mut self, message_id: MessageId, retries: u32) -> Result<Vec<ConversationEvent>, ConversationError> {
        let content = OutboundContent::Text { text: "hi".into(), preview_url: false };
        self.when(ConversationCommand::Retry { by: NOA, message_id, retries, content, at: self.now })
    }

    fn told(&mut self, message_id: MessageId, status: DeliveryStatus) -> Vec<ConversationEvent> {
        self.told_of(0, message_id, status)
    }

    fn told_of(&mut self, retry: u32, message_id: MessageId, status: DeliveryStatus) -> Vec<ConversationEvent> {
        let provider_message_id = Some("wamid.out".to_owned());
        let news = DeliveryNews {
            message_id,
            status,
            provider_message_id,
            error: None,
            possible_duplicate: false,
            retry,
            at: self.now,
        };
        let around = self.around();
        self.when(ConversationCommand::Delivery { news, around }).expect("news is taken")
    }
}

fn participants() -> Participants {
    Participants {
        contact_id: ContactId(Uuid::from_u128(7)),
        channel: Channel::Whatsapp,
        line: "1".into(),
        address: Address::of_phone(Phone::parse("+972501234567").expect("a phone")),
        name: None,
    }
}

/// A flow of a trigger and one more node.
fn flow(id: u128, version: u32, trigger: &str, data: &Value, kind: &str, then: &Value) -> PublishedFlow {
    let node = |n: u32, kind: &str, data: &Value, to: &[&str]| {
        let connections: Vec<Value> = to.iter().map(|to| json!({ "node": to, "output": "input_1" })).collect();
        json!({ "id": n, "name": kind, "data": data, "class": "", "html": "", "inputs": {},
                "outputs": { "output_1": { "connections": connections } }, "pos_x": 0, "pos_y": 0 })
    };
    let graph = json!({ "drawflow": { "Home": { "data": { "1": node(1, trigger, data, &["2"]), "2": node(2, kind, then, &[]) } } } });
    PublishedFlow {
        flow_id: FlowId(Uuid::from_u128(id)),
        name: "flow".into(),
        version,
        graph: Arc::new(drawflow::read(&graph).expect("a graph").graph),
        expires_after_sec: 14 * 24 * 3600,
        reads_lead: false,
    }
}

fn asking() -> PublishedFlow {
    flow(1, 1, "trigger_message", &json!({}), "wait_reply", &json!({ "saveAs": "answer", "timeoutSec": 60 }))
}

fn keyword() -> PublishedFlow {
    flow(2, 1, "trigger_message", &json!({ "keywords": ["price"] }), "send_text", &json!({ "text": "10" }))
}

fn greeting() -> PublishedFlow {
    flow(3, 1, "trigger_message", &json!({}), "send_text", &json!({ "text": "hi" }))
}

fn tags(events: &[ConversationEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.tag().trim_start_matches("conversation.")).collect()
}

fn queued(events: &[ConversationEvent]) -> Option<MessageId> {
    events.iter().find_map(|event| match event {
        ConversationEvent::MessageQueued { message_id, .. } => Some(*message_id),
        _ => None,
    })
}

#[test]
fn a_waiting_run_gets_the_answer_and_a_keyword_takes_its_place() {
    let mut story = Story::new(vec![asking(), keyword()]);
    let first = ["started", "message_received", "flow_run_started", "flow_run_stepped", "flow_run_waiting"];
    assert_eq!(tags(&story.writes("hello")), first);
    let superseded = [
        "message_received",
        "flow_run_ended",
        "flow_run_started",
        "flow_run_stepped",
        "message_queued",
        "flow_run_ended",
    ];
    assert_eq!(tags(&story.writes("what is the price?")), superseded);
    story.writes("hello");
    assert_eq!(tags(&story.writes("an answer")), ["message_received", "flow_run_stepped", "flow_run_ended"]);
}

#[test]
fn nothing_starts_where_a_person_has_taken_over() {
    let mut story = Story::new(vec![greeting()]);
    story.writes("hello");
    assert_eq!(tags(&story.handled(Handling::Claim, NOA).expect("hers")), ["claimed"]);
    assert_eq!(tags(&story.writes("hello?")), ["message_received"]);
    assert_eq!(story.handled(Handling::Claim, DAN), Err(ConversationError::ClaimedByAnother(NOA)));
    assert_eq!(story.handled(Handling::Claim, NOA), Ok(vec![]));
    assert_eq!(story.started(greeting(), None, false), Err(ConversationError::Claimed));
    story.handled(Handling::Release, NOA).expect("given back");
    assert!(queued(&story.writes("and now?")).is_some());
}

#[test]
fn claiming_stops_the_run_and_a_stale_view_loses() {
    let mut story = Story::new(vec![asking()]);
    story.writes("hello");
    assert_eq!(tags(&story.handled(Handling::Claim, NOA).expect("hers")), ["flow_run_ended", "claimed"]);
    let stale =
        ConversationCommand::Handle { handling: Handling::Close, by: NOA, expected_version: Some(1), at: story.now };
    assert_eq!(story.when(stale), Err(ConversationError::Stale(2)));
    story.handled(Handling::Close, NOA).expect("closed");
    assert_eq!(tags(&story.writes("one more thing"))[..2], ["reopened", "message_received"]);
}

#[test]
fn a_timer_fires_for_its_own_wait_only() {
    let mut story = Story::new(vec![asking()]);
    let events = story.writes("hello");
    let (run_id, step) = events
        .iter()
        .find_map(|event| match event {
            ConversationEvent::FlowRunWaiting { run_id, step, .. } => Some((*run_id, *step)),
            _ => None,
        })
        .expect("it waits");
    let early = ConversationCommand::Timer { run_id, step, around: story.around() };
    assert_eq!(story.when(early), Ok(vec![]), "its time has not come");
    let mut story = story.after(TimeDelta::seconds(61));
    let other = ConversationCommand::Timer { run_id, step: step + 1, around: story.around() };
    assert_eq!(story.when(other), Ok(vec![]), "it is another wait's");
    let due = ConversationCommand::Timer { run_id, step, around: story.around() };
    assert_eq!(tags(&story.when(due.clone()).expect("it fires")), ["flow_run_stepped", "flow_run_ended"]);
    assert_eq!(story.when(due), Ok(vec![]), "the run is over");
}

#[test]
fn a_run_that_waited_too_long_is_over() {
    let mut story = Story::new(vec![asking()]);
    story.writes("hello");
    let mut story = story.after(TimeDelta::days(15));
    let events = story.writes("hello again");
    let expired =
        |event: &ConversationEvent| matches!(event, ConversationEvent::FlowRunEnded { outcome: Outcome::Expired, .. });
    assert!(events.iter().any(expired), "{events:?}");
}

#[test]
fn a_pinned_version_is_asked_for_and_brought() {
    let mut story = Story::new(vec![asking()]);
    story.writes("hello");
    story.flows.clear();
    let (flow_id, version) = (asking().flow_id, 1);
    let message = InboundMessage { text: Some("an answer".into()), ..message() };
    let mut command = ConversationCommand::Receive { participants: participants(), message, around: story.around() };
    assert_eq!(story.when(command.clone()), Err(ConversationError::GraphNeeded { flow_id, version }));
    command.surroundings().expect("it moves a run").bring(asking());
    assert_eq!(
        tags(&story.when(command).expect("it goes on")),
        ["message_received", "flow_run_stepped", "flow_run_ended"]
    );
}

fn message() -> InboundMessage {
    InboundMessage {
        provider_message_id: "wamid.x".into(),
        kind: InboundKind::Text,
        text: None,
        choice: None,
        media: None,
        location: None,
        refers_to: None,
        raw: None,
        sent_at: DateTime::from_timestamp(1_700_000_000, 0).expect("a time"),
    }
}

#[test]
fn a_reaction_is_kept_and_starts_nothing() {
    let mut story = Story::new(vec![greeting()]);
    story.writes("hello");
    let message = InboundMessage { kind: InboundKind::Reaction, text: Some("👍".into()), ..message() };
    let around = story.around();
    let events =
        story.when(ConversationCommand::Receive { participants: participants(), message, around }).expect("kept");
    assert_eq!(tags(&events), ["message_received"]);
}

#[test]
fn the_window_closes_after_a_day_and_a_template_still_goes() {
    let mut story = Story::new(vec![]);
    story.writes("hello");
    let mut story = story.after(TimeDelta::hours(24));
    let reply = |content, at| ConversationCommand::Reply { by: NOA, message_id: MessageId(Uuid::nil()), content, at };
    let text = OutboundContent::Text { text: "hi".into(), preview_url: false };
    assert_eq!(story.when(reply(text, story.now)), Err(ConversationError::WindowClosed));
    let template = OutboundContent::Template(TemplateContent {
        name: "hello".into(),
        language: "en".into(),
        ..Default::default()
    });
    assert_eq!(tags(&story.when(reply(template, story.now)).expect("it goes")), ["message_queued"]);
}

#[test]
fn an_outbound_flow_waits_behind_its_template() {
    let outbound = flow(4, 1, "trigger_outbound", &json!({}), "send_text", &json!({ "text": "welcome" }));
    let mut story = Story::new(vec![outbound.clone()]);
    assert_eq!(story.started(outbound.clone(), None, true), Err(ConversationError::WindowClosed));
    let template = TemplateContent { name: "hello".into(), language: "en".into(), ..Default::default() };
    let events = story.started(outbound, Some(template), true).expect("it starts");
    assert_eq!(tags(&events), ["started", "flow_run_started", "message_queued", "flow_run_waiting"]);
    assert_eq!(
        tags(&story.writes("yes?")),
        ["message_received", "flow_run_stepped", "message_queued", "flow_run_ended"]
    );
}

#[test]
fn a_question_nobody_saw_ends_the_run() {
    let asks = flow(5, 1, "trigger_outbound", &json!({}), "ask", &json!({ "text": "How old?", "saveAs": "age" }));
    let mut story = Story::new(vec![asks.clone()]);
    let events = story.started(asks, None, false).expect("it starts");
    assert_eq!(
        tags(&events),
        ["started", "flow_run_started", "flow_run_stepped", "message_held_back", "flow_run_ended"]
    );
}

#[test]
fn twenty_times_the_same_in_five_minutes_is_a_loop() {
    let mut story = Story::new(vec![greeting()]);
    for _ in 0..20 {
        assert!(queued(&story.writes("hello")).is_some());
    }
    let events = story.writes("hello");
    assert!(queued(&events).is_none());
    assert!(
        matches!(events.last(), Some(ConversationEvent::FlowRunEnded { outcome: Outcome::Looping, .. })),
        "{events:?}"
    );
    let mut story = story.after(TimeDelta::minutes(5));
    assert!(queued(&story.writes("hello")).is_some(), "later it may be said again");
}

#[test]
fn news_only_ever_adds() {
    let mut story = Story::new(vec![greeting()]);
    let id = queued(&story.writes("hello")).expect("a message");
    assert_eq!(tags(&story.told(id, DeliveryStatus::Read)), ["message_sent", "message_read"]);
    for late in [DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Read] {
        assert_eq!(story.told(id, late), [], "{late}");
    }
    assert_eq!(tags(&story.told(id, DeliveryStatus::Failed)), ["message_failed_late"], "recorded once");
    assert_eq!(story.told(id, DeliveryStatus::Failed), []);
    assert_eq!(story.conversation.begun().expect("it began").outbound[0].status, DeliveryStatus::Read);
    assert_eq!(story.told(MessageId(Uuid::max()), DeliveryStatus::Sent), [], "a message it does not know");
}

#[test]
fn only_what_failed_is_sent_again_and_a_new_try_has_news_of_its_own() {
    let mut story = Story::new(vec![greeting()]);
    let id = queued(&story.writes("hello")).expect("a message");
    assert_eq!(story.retried(id, 0), Err(ConversationError::MessageNotFailed(DeliveryStatus::Queued)));
    assert_eq!(story.retried(MessageId(Uuid::max()), 0), Err(ConversationError::MessageForgotten));
    story.told(id, DeliveryStatus::Failed);
    assert_eq!(story.retried(id, 1), Err(ConversationError::MessageRetriedMeanwhile));
    assert_eq!(tags(&story.retried(id, 0).expect("it failed")), ["message_retried"]);
    assert_eq!(story.retried(id, 1), Err(ConversationError::MessageNotFailed(DeliveryStatus::Queued)));

    for late in [DeliveryStatus::Sent, DeliveryStatus::Failed] {
        assert_eq!(story.told_of(0, id, late), [], "{late} of the first try");
    }
    assert_eq!(tags(&story.told_of(1, id, DeliveryStatus::Failed)), ["message_sent", "message_failed"]);
    assert_eq!(tags(&story.retried(id, 1).expect("it failed again")), ["message_retried"]);
    assert_eq!(tags(&story.told_of(0, id, DeliveryStatus::Delivered)), ["message_delivered"], "it did arrive");
    assert_eq!(story.retried(id, 2), Err(ConversationError::MessageNotFailed(DeliveryStatus::Delivered)));
}

#[test]
fn outside_the_window_only_a_template_is_sent_again() {
    let mut story = Story::new(vec![greeting()]);
    let id = queued(&story.writes("hello")).expect("a message");
    story.told(id, DeliveryStatus::Failed);
    let mut story = story.after(TimeDelta::hours(25));
    assert_eq!(story.retried(id, 0), Err(ConversationError::WindowClosed));
    let content = OutboundContent::Template(TemplateContent { name: "hi".into(), ..TemplateContent::default() });
    let again = ConversationCommand::Retry { by: NOA, message_id: id, retries: 0, content, at: story.now };
    assert_eq!(tags(&story.when(again).expect("a template goes through")), ["message_retried"]);
}
