//! The flow of the demo, as Drawflow JSON.

use serde_json::{Map, Value, json};

/// Buttons, a question with validation, a condition, a handoff.
pub(super) fn drawflow() -> Value {
    let buttons = json!({ "body": "Welcome{{ \" \" ~ contact.name if contact.name else \"\" }}! What can we do for you?",
        "footer": "The Olive Tree", "saveAs": "wish", "timeoutSec": 3600,
        "buttons": [{ "id": "book", "title": "Book a table" }, { "id": "hours", "title": "Opening hours" },
                    { "id": "person", "title": "Talk to a person" }] });
    let ask = json!({ "text": "For how many people?", "expect": "number", "min": 1, "max": 30, "saveAs": "people",
        "retryText": "Please send a number from 1 to 30.", "maxRetries": 3, "timeoutSec": 3600 });
    let large = json!({ "cases": [{ "id": "large", "match": "all", "rules": [{ "left": "people", "op": "gte", "right": 8 }] }] });
    let nodes = [
        ("1", "trigger_message", json!({ "keywords": [] }), vec!["2"]),
        ("2", "send_buttons", buttons, vec!["3", "7", "8", "8", "9"]),
        ("3", "ask", ask, vec!["4", "8", "9"]),
        ("4", "condition", large, vec!["5", "6"]),
        (
            "5",
            "send_text",
            json!({ "text": "{{ people }} people: our garden room is yours. See you soon!" }),
            vec!["9"],
        ),
        ("6", "send_text", json!({ "text": "A table for {{ people }} is booked. See you soon!" }), vec!["9"]),
        ("7", "send_text", json!({ "text": "We are open Sunday to Thursday, 12:00 to 23:00." }), vec!["9"]),
        (
            "8",
            "handoff",
            json!({ "message": "A colleague will be with you in a moment.", "note": "Asked for a person" }),
            vec![],
        ),
        ("9", "end", json!({ "outcome": "done" }), vec![]),
    ];
    let mut data: Map<String, Value> = nodes
        .iter()
        .enumerate()
        .map(|(n, (id, kind, node_data, targets))| {
            let outputs: Map<String, Value> = (1..)
                .zip(targets)
                .map(|(port, to)| (format!("output_{port}"), json!({ "connections": [{ "node": to, "output": "input_1" }] })))
                .collect();
            let node = json!({ "id": n + 1, "name": kind, "data": node_data, "class": kind, "html": "", "typenode": false,
                               "inputs": {}, "outputs": outputs, "pos_x": 240 * n, "pos_y": 120 });
            ((*id).to_owned(), node)
        })
        .collect();
    // Drawflow keeps each connection at both ends.
    for (from, _, _, targets) in &nodes {
        for (port, to) in (1..).zip(targets) {
            let inputs = &mut data[*to]["inputs"]["input_1"]["connections"];
            let link = json!({ "node": from, "input": format!("output_{port}") });
            match inputs.as_array_mut() {
                Some(list) => list.push(link),
                None => *inputs = json!([link]),
            }
        }
    }
    json!({ "drawflow": { "Home": { "data": data } } })
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_reads_without_a_problem_or_a_warning() {
        let read = domain::flow::drawflow::read(&super::drawflow()).expect("no problems");
        assert_eq!(read.warnings, []);
    }
}
