//! Drawflow graphs for tests.

use serde_json::{Map, Value, json};

/// A node: key, kind, data, and where its ports lead.
pub type Node<'a> = (&'a str, &'a str, Value, &'a [&'a str]);

/// A graph of these nodes, with every connection at both ends.
pub fn drawflow(nodes: &[Node<'_>]) -> Value {
    let mut data = Map::new();
    for (n, (key, kind, node_data, targets)) in nodes.iter().enumerate() {
        let outputs: Map<String, Value> = (1..)
            .zip(*targets)
            .map(|(port, to)| {
                let connections = if to.is_empty() { json!([]) } else { json!([{ "node": to, "output": "input_1" }]) };
                (format!("output_{port}"), json!({ "connections": connections }))
            })
            .collect();
        let incoming: Vec<Value> = nodes
            .iter()
            .flat_map(|(from, _, _, targets)| (1..).zip(*targets).map(move |(port, to)| (*from, port, *to)))
            .filter(|(_, _, to)| to == key)
            .map(|(from, port, _)| json!({ "node": from, "input": format!("output_{port}") }))
            .collect();
        let inputs = if incoming.is_empty() { json!({}) } else { json!({ "input_1": { "connections": incoming } }) };
        let node = json!({ "id": n + 1, "name": kind, "data": node_data, "class": kind, "html": "", "typenode": false,
                           "inputs": inputs, "outputs": outputs, "pos_x": 200 * n, "pos_y": 100 });
        data.insert((*key).to_owned(), node);
    }
    json!({ "drawflow": { "Home": { "data": data } } })
}

/// Answers every message with `echo <text>`.
pub fn echo() -> Value {
    drawflow(&[
        ("1", "trigger_message", json!({ "keywords": [] }), &["2"]),
        ("2", "send_text", json!({ "text": "echo {{trigger.text}}" }), &[]),
    ])
}
