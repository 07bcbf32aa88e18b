//! What the tests of the node kinds share: a run, an outside, a customer's message.

use chrono_tz::Asia::Jerusalem;
use serde_json::{Map, Value, json};

use crate::flow::engine::Input;
use crate::flow::graph::NodeId;
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, Env, Run, Scopes, Variables, Wait, WaitFor};
use crate::flow::validation::{Problem, Report};
use crate::shared::ids::{FlowId, RunId};
use crate::shared::inbound::InboundMessage;

/// A run that stands at node 1.
pub fn run() -> Run {
    Run {
        id: RunId(uuid::Uuid::nil()),
        flow_id: FlowId(uuid::Uuid::nil()),
        version: 1,
        node: NodeId("1".into()),
        wait: Some(Wait { wait_for: WaitFor::Reply, until: None, refused: 0 }),
        step: 0,
        units: 0,
        variables: Variables::new(),
        scopes: Scopes::default(),
        expires_at: "2026-02-01T00:00:00Z".parse().unwrap(),
    }
}

/// Saturday, 10 January 2026, 16:00 in Jerusalem; the window is open.
pub fn env() -> Env {
    Env { now: "2026-01-10T14:00:00Z".parse().unwrap(), timezone: Jerusalem, window_open: true }
}

/// A customer's message: a text unless `message` says otherwise.
pub fn inbound(message: Value) -> InboundMessage {
    let mut whole: Map<String, Value> = Map::new();
    whole.insert("providerMessageId".into(), json!("wamid.1"));
    whole.insert("kind".into(), json!("text"));
    whole.insert("sentAt".into(), json!("2026-01-10T13:59:59Z"));
    whole.extend(message.as_object().cloned().unwrap());
    serde_json::from_value(Value::Object(whole)).unwrap()
}

/// A kind read from its data.
pub fn node<K: serde::de::DeserializeOwned>(data: Value) -> K {
    serde_json::from_value(data).unwrap()
}

/// What entering a node, or resuming it with an input, does in a run.
pub fn outcome(
    kind: &dyn NodeKind,
    run: &Run,
    input: Option<&Input<'_>>,
) -> (Next, Vec<Action>, Variables, Vec<String>) {
    let env = env();
    let mut step = Step::new(run, &env);
    let next = match input {
        None => kind.enter(&mut step),
        Some(input) => kind.resume(&mut step, input),
    };
    let (actions, changed, warnings) = step.into_parts();
    (next, actions, changed, warnings)
}

/// The fields a check finds wrong.
pub fn wrong_fields(kind: &dyn NodeKind) -> Vec<String> {
    let mut report = Report::new("1");
    kind.check(&mut report);
    report.into_parts().0.into_iter().filter_map(|Problem { field, .. }| field).collect()
}
