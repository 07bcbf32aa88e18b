//! Drawflow JSON in and out.

use serde_json::{Value, json};

use super::*;

/// An export of nodes `(id, kind, data, targets by port)`, its lines at both ends.
pub fn export(nodes: &[(&str, &str, Value, &[&str])]) -> Value {
    let mut data = Map::new();
    for (id, kind, node_data, targets) in nodes {
        let outputs: Map<String, Value> = targets
            .iter()
            .enumerate()
            .map(|(index, target)| {
                let connections =
                    if target.is_empty() { json!([]) } else { json!([{"node": target, "output": "input_1"}]) };
                (format!("output_{}", index + 1), json!({"connections": connections}))
            })
            .collect();
        let inputs: Vec<Value> = nodes
            .iter()
            .flat_map(|(from, _, _, targets)| {
                targets
                    .iter()
                    .enumerate()
                    .filter(|(_, target)| *target == id)
                    .map(move |(index, _)| json!({"node": from, "input": format!("output_{}", index + 1)}))
            })
            .collect();
        data.insert(
            (*id).to_owned(),
            json!({
                "id": id, "name": kind, "data": node_data, "class": kind, "html": "", "typenode": false,
                "inputs": {"input_1": {"connections": inputs}}, "outputs": outputs, "pos_x": 0, "pos_y": 0,
            }),
        );
    }
    json!({"drawflow": {"Home": {"data": data}}})
}

fn fields(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|it| (it.node_id.as_deref().unwrap_or(""), it.field.as_deref().unwrap_or(""))).collect()
}

fn refused(drawflow: &Value) -> Vec<Problem> {
    read(drawflow).err().unwrap_or_default()
}

const NONE: &[&str] = &[];

#[test]
fn a_sound_export_becomes_a_graph() {
    let yes_no = json!({"body": "?", "buttons": [{"id": "yes", "title": "Yes"}, {"id": "no", "title": "No"}]});
    let read = read(&export(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "send_buttons", yes_no, &["3", "", "2", "3"]),
        ("3", "end", json!({}), NONE),
    ]))
    .unwrap();
    assert_eq!(read.warnings, []);
    let target = |exit| read.graph.target(&NodeId("2".into()), exit).map(|id| id.0.as_str());
    assert_eq!(
        (target("yes"), target("no"), target("other"), target("timeout")),
        (Some("3"), None, Some("2"), Some("3"))
    );
}

#[test]
fn exits_may_be_named() {
    let named = |exits: Value| {
        export(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "wait_reply", json!({"exits": exits}), &["3", "1"]),
            ("3", "end", json!({}), NONE),
        ])
    };
    let read = read(&named(json!({"output_1": "timeout", "output_2": "reply"}))).unwrap();
    assert_eq!(read.graph.target(&NodeId("2".into()), "timeout"), Some(&NodeId("3".into())));
    assert_eq!(fields(&refused(&named(json!({"output_1": "late", "output_2": "reply"})))), [("2", "exits.output_1")]);
    assert_eq!(fields(&refused(&named(json!({"output_1": "reply"})))), [("2", "output_2")]);
    assert_eq!(fields(&refused(&named(json!({"output_1": "reply", "output_2": "reply"})))), [("2", "output_2")]);
}

#[test]
fn every_problem_is_told_at_once() {
    let mut drawflow = export(&[
        ("1", "send_text", json!({"text": "{{ a"}), &["9"]),
        ("2", "send_media", json!({"mediaType": "smell"}), &["3", "3"]),
        ("3", "goto", json!({"nodeId": "8"}), NONE),
        ("4", "end", json!({}), &["3"]),
    ]);
    drawflow["drawflow"]["Home"]["data"]["3"]["id"] = json!(7);
    let problems = refused(&drawflow);
    assert_eq!(
        fields(&problems),
        [("1", "text"), ("1", "output_1"), ("2", "data"), ("3", "id"), ("4", "output_1"), ("", ""), ("3", "nodeId"),]
    );
}

#[test]
fn a_cycle_must_wait() {
    let cycle = |kind: &str, data: Value| {
        export(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "send_text", json!({"text": "a"}), &["3"]),
            ("3", kind, data, &["4"]),
            ("4", "goto", json!({"nodeId": "2"}), NONE),
        ])
    };
    let problems = refused(&cycle("send_text", json!({"text": "b"})));
    assert_eq!(
        problems,
        [Problem::of_node("2", reason!("endless_cycle", "a cycle never waits: {cycle}", cycle = "2 → 3 → 4 → 2"))]
    );
    assert!(read(&cycle("wait_reply", json!({}))).is_ok());
    assert!(read(&cycle("delay", json!({"seconds": 0}))).is_ok());
}

#[test]
fn what_is_odd_is_a_warning() {
    let mut drawflow = export(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "made_of_magic", json!({"spell": 1}), &["3"]),
        ("3", "end", json!({}), NONE),
        ("4", "end", json!({}), NONE),
    ]);
    drawflow["drawflow"]["Home"]["data"]["2"]["inputs"] = json!({});
    drawflow["drawflow"]["Home"]["data"]["3"]["inputs"]["input_1"]["connections"]
        .as_array_mut()
        .unwrap()
        .push(json!({"node": "1", "input": "output_2"}));
    let read = read(&drawflow).unwrap();
    assert_eq!(fields(&read.warnings), [("2", "name"), ("1", "connections"), ("3", "connections"), ("4", "")]);
    assert_eq!(read.graph.target(&NodeId("1".into()), "next"), Some(&NodeId("2".into())), "the outputs side counts");
}

#[test]
fn links_stay_inside_a_module() {
    let mut drawflow = export(&[("1", "trigger_message", json!({}), &["2"])]);
    drawflow["drawflow"]["Other"] = export(&[("2", "end", json!({}), NONE)])["drawflow"]["Home"].clone();
    assert_eq!(fields(&refused(&drawflow)), [("1", "output_1")]);
    drawflow["drawflow"]["Home"]["data"]["1"]["outputs"] = json!({});
    assert_eq!(read(&drawflow).unwrap().graph.nodes().count(), 2);
}

#[test]
fn an_output_leads_to_one_node() {
    let mut drawflow = export(&[
        ("1", "trigger_message", json!({}), &["2"]),
        ("2", "end", json!({}), NONE),
        ("3", "end", json!({}), NONE),
    ]);
    let connections = &mut drawflow["drawflow"]["Home"]["data"]["1"]["outputs"]["output_1"]["connections"];
    connections.as_array_mut().unwrap().push(json!({"node": "3", "output": "input_1"}));
    assert_eq!(fields(&refused(&drawflow)), [("1", "output_1")]);
}

#[test]
fn limits_hold() {
    assert_eq!(fields(&refused(&json!({}))), [("", "drawflow"), ("", "")]);
    assert_eq!(fields(&refused(&json!({"drawflow": {"Home": {}}}))), [("", "drawflow.Home.data"), ("", "")]);
    let ids: Vec<String> = (0..=NODES_MAX).map(|n| n.to_string()).collect();
    let data: Map<String, Value> = ids.iter().map(|id| (id.clone(), json!({}))).collect();
    assert_eq!(refused(&json!({"drawflow": {"Home": {"data": data}}})).len(), 1);
    let large = export(&[("1", "trigger_message", json!({"note": "a".repeat(JSON_BYTES_MAX)}), NONE)]);
    assert_eq!(
        refused(&large),
        [Problem::of_flow(reason!("flow_too_large", "must not be larger than {max} KiB", max = 256))]
    );
    let cases: Vec<Value> =
        (0..EXITS_MAX).map(|n| json!({"id": n.to_string(), "rules": [{"left": "a", "op": "is_set"}]})).collect();
    let wide =
        export(&[("1", "trigger_message", json!({}), &["2"]), ("2", "condition", json!({"cases": cases}), NONE)]);
    assert_eq!(fields(&refused(&wide)), [("2", "outputs")]);
}

/// Exports published with Drawflow itself, when they lie beside the project.
#[test]
fn published_exports_are_read_without_panic() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/drawflow");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("no published exports beside the project: nothing read");
        return;
    };
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        if let Ok(drawflow) = serde_json::from_str::<Value>(&text) {
            assert!(read(&drawflow).is_err(), "no kind of theirs is a trigger");
        }
    }
}
