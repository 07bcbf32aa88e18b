//! Every kind of node has a fixture in `tests/fixtures/nodes`: cases of data, input and what comes of it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::flow::engine::Input;
use crate::flow::nodes::{self, KINDS, Next, testing};
use crate::flow::run::{Action, Scopes, Variables};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    data: Value,
    #[serde(default)]
    variables: Variables,
    #[serde(default)]
    scopes: Scopes,
    /// How many answers were refused before.
    #[serde(default)]
    refused: u32,
    input: Given,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Given {
    Enter,
    Timeout,
    Reply(Value),
    Delivery(bool),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    next: Value,
    #[serde(default)]
    actions: Vec<Value>,
    #[serde(default)]
    variables: Map<String, Value>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[test]
fn every_kind_has_a_fixture_that_holds() {
    for kind in KINDS {
        for (index, case) in cases(kind).into_iter().enumerate() {
            assert_eq!(outcome(kind, &case), case.expect, "{kind} case {index}");
        }
    }
}

fn cases(kind: &str) -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/fixtures/nodes/{kind}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{kind} has no fixture: {error}"));
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}"));
    assert!(!cases.is_empty(), "{kind} has no case");
    cases
}

fn outcome(kind: &str, case: &Case) -> Expected {
    let node = nodes::read(kind, &case.data).unwrap().unwrap_or_else(|error| panic!("{kind}: {error}"));
    assert_eq!(testing::wrong_fields(&*node), Vec::<String>::new(), "{kind}");
    let mut run = testing::run();
    run.variables = case.variables.clone();
    run.scopes = case.scopes.clone();
    run.wait.as_mut().unwrap().refused = case.refused;
    let message = match &case.input {
        Given::Reply(message) => testing::inbound(message.clone()),
        Given::Enter | Given::Timeout | Given::Delivery(_) => testing::inbound(json!({})),
    };
    let input = match &case.input {
        Given::Enter => None,
        Given::Timeout => Some(Input::Timeout),
        Given::Reply(_) => Some(Input::Reply(&message)),
        Given::Delivery(accepted) => Some(Input::Delivery(*accepted)),
    };
    let (next, actions, variables, warnings) = testing::outcome(&*node, &run, input.as_ref());
    Expected { next: next_json(&next), actions: actions.iter().map(action_json).collect(), variables, warnings }
}

fn next_json(next: &Next) -> Value {
    match next {
        Next::Exit(exit) => json!({"exit": exit}),
        Next::Goto(node) => json!({"goto": node}),
        Next::Wait(wait) => json!({"wait": wait}),
        Next::End { outcome, detail } => json!({"end": {"outcome": outcome, "detail": detail}}),
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        Action::Send(content) => json!({"send": content}),
        Action::UpdateLead(change) => json!({"updateLead": change}),
        Action::HandOff(handoff) => json!({"handOff": handoff}),
    }
}
