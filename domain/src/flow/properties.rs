//! What holds for every flow: the engine neither panics nor runs on, and does the same again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::flow::drawflow;
use crate::flow::engine::{Input, advance};
use crate::flow::graph::{Graph, Node, NodeId};
use crate::flow::nodes::{self, testing};
use crate::flow::run::{NODES_PER_UNIT_MAX, Rest, Run, Turn};

/// One of each way a node behaves.
fn samples() -> Vec<(&'static str, Value)> {
    let rules = json!([{"left": "n", "op": "gt", "right": 3}]);
    vec![
        ("trigger_message", json!({})),
        ("send_text", json!({"text": "Hi {{ name }} {{ n }}"})),
        ("send_template", json!({"templateName": "t", "language": "he", "params": ["{{ n }}"]})),
        (
            "send_buttons",
            json!({"body": "b", "buttons": [{"title": "a"}, {"title": "b"}], "timeoutSec": 5, "saveAs": "n"}),
        ),
        ("ask", json!({"text": "?", "expect": "number", "saveAs": "n"})),
        ("wait_reply", json!({"saveAs": "name"})),
        ("delay", json!({"until": "02:30"})),
        ("condition", json!({"cases": [{"id": "c", "rules": rules}]})),
        ("set_variable", json!({"assignments": [{"name": "n", "value": "{{ n }}"}]})),
        ("update_lead", json!({"fields": {"n": "{{ n }}"}})),
        ("handoff", json!({"message": "m"})),
        ("end", json!({"outcome": "o"})),
        ("goto", json!({"nodeId": "3"})),
        ("no_such_kind", json!({})),
    ]
}

/// Nodes by sample, and where their exits lead.
pub(crate) type Plan = Vec<(usize, Vec<usize>)>;

pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    prop::collection::vec((0..samples().len(), prop::collection::vec(0..24_usize, 0..4)), 1..20)
}

/// The nodes of a graph as planned, sound or not: cycles that never wait and lines that lead nowhere included.
pub(crate) fn nodes_of(plan: &Plan) -> BTreeMap<NodeId, Node> {
    let samples = samples();
    let node = |(index, (sample, targets)): (usize, &(usize, Vec<usize>))| {
        let (name, data) = &samples[*sample];
        let kind = nodes::read(name, data).map_or_else(|| Box::new(nodes::unknown::Unknown) as _, Result::unwrap);
        let targets = kind.exits().into_iter().zip(targets).map(|(exit, to)| (exit, NodeId(to.to_string()))).collect();
        (NodeId(index.to_string()), Node { kind_name: (*name).to_owned(), kind, targets })
    };
    plan.iter().enumerate().map(node).collect()
}

fn graph(plan: &Plan) -> Graph {
    Graph::new(nodes_of(plan))
}

fn export(plan: &Plan) -> Value {
    let samples = samples();
    let node = |(index, (sample, targets)): (usize, &(usize, Vec<usize>))| {
        let (name, data) = &samples[*sample];
        let outputs: Map<String, Value> = targets
            .iter()
            .enumerate()
            .map(|(port, to)| {
                (
                    format!("output_{}", port + 1),
                    json!({"connections": [{"node": to.to_string(), "output": "input_1"}]}),
                )
            })
            .collect();
        (index.to_string(), json!({"id": index, "name": name, "data": data, "inputs": {}, "outputs": outputs}))
    };
    json!({"drawflow": {"Home": {"data": plan.iter().enumerate().map(node).collect::<Map<_, _>>()}}})
}

fn settle(run: &mut Run, turn: &Turn) -> bool {
    run.variables.extend(turn.changed.clone());
    run.units += 1;
    match &turn.rest {
        Rest::Waiting { node, wait } => {
            run.node = node.clone();
            run.wait = Some(wait.clone());
            true
        }
        Rest::Ended { .. } => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_unit_of_work_is_bounded_and_repeatable(plan in plans(), inputs in prop::collection::vec((0..4_u8, "\\PC{0,6}|[0-9]{1,3}"), 0..12)) {
        let graph = graph(&plan);
        let env = testing::env();
        let mut run = testing::run();
        run.node = NodeId("0".into());
        let mut turn = advance(&graph, &run, &Input::Start, &env);
        for (which, text) in inputs {
            prop_assert!(turn.path.len() <= NODES_PER_UNIT_MAX + 1);
            if !settle(&mut run, &turn) {
                break;
            }
            let message = testing::inbound(json!({"text": text}));
            let input = match which {
                0 => Input::Timeout,
                1 => Input::Delivery(true),
                2 => Input::Delivery(false),
                _ => Input::Reply(&message),
            };
            turn = advance(&graph, &run, &input, &env);
            prop_assert_eq!(&turn, &advance(&graph, &run, &input, &env));
        }
    }

    #[test]
    fn any_export_is_read_or_refused(plan in plans()) {
        if let Ok(read) = drawflow::read(&export(&plan)) {
            prop_assert_eq!(read.graph.nodes().count(), plan.len());
            let mut run = testing::run();
            for (id, _) in read.graph.triggers() {
                run.node = id.clone();
                let turn = advance(&read.graph, &run, &Input::Start, &testing::env());
                prop_assert!(turn.path.len() <= plan.len(), "a sound flow enters no node twice without waiting");
            }
        }
    }
}
