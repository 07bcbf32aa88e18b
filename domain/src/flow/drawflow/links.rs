//! The lines of Drawflow. A line is stored at both ends with the names swapped: the outputs side says
//! `{node, output: "input_M"}`, the inputs side `{node, input: "output_M"}`. The outputs side counts.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::flow::validation::Problem;
use crate::reason;

/// An output or input of a node and the lines at it.
#[derive(Debug)]
pub struct Port<'a> {
    /// `output_N` or `input_N`.
    pub name: &'a str,
    /// Its lines.
    pub links: Vec<Link<'a>>,
}

/// One end of a line, and what it says of the other end.
#[derive(Debug)]
pub struct Link<'a> {
    /// The node at the other end.
    pub node: Option<String>,
    /// The port at the other end.
    pub port: &'a str,
}

/// The outputs of a node, by their number.
pub fn outputs(raw: &Value) -> Vec<Port<'_>> {
    ports(raw, "outputs", "output")
}

/// An id is a number or a text.
pub fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// The exit a port stands for: as `data.exits` says, or by its number.
pub fn exit_of(port: &str, exits: &[String], named: Option<&Map<String, Value>>) -> Option<String> {
    match named.and_then(|named| named.get(port)) {
        Some(name) => Some(name.as_str()?.to_owned()),
        None if named.is_some_and(|named| !named.is_empty()) => None,
        None => exits.get(number(port)?.checked_sub(1)?).cloned(),
    }
}

/// Lines that only one of their ends knows.
pub fn asymmetries(module: &Map<String, Value>) -> Vec<Problem> {
    let from_outputs: BTreeSet<Line> = module.iter().flat_map(|(key, raw)| lines(key, raw, End::Output)).collect();
    let from_inputs: BTreeSet<Line> = module.iter().flat_map(|(key, raw)| lines(key, raw, End::Input)).collect();
    let only_output = from_outputs.difference(&from_inputs).filter(|line| module.contains_key(&line.to));
    let only_input = from_inputs.difference(&from_outputs);
    let told = only_output.map(|line| {
        let reason = reason!("line_from_output", "{line}: only its output knows this line; it counts", line);
        Problem::of_node_field(&line.from, "connections", reason)
    });
    let untold = only_input.map(|line| {
        let reason = reason!("line_from_input", "{line}: only its input knows this line; it does not count", line);
        Problem::of_node_field(&line.to, "connections", reason)
    });
    told.chain(untold).collect()
}

fn number(port: &str) -> Option<usize> {
    port.rsplit('_').next()?.parse().ok()
}

fn ports<'a>(raw: &'a Value, side: &str, other_port: &str) -> Vec<Port<'a>> {
    let Some(ports) = raw.get(side).and_then(Value::as_object) else { return Vec::new() };
    let link = |link: &'a Value| Link {
        node: link.get("node").map(id_text),
        port: link.get(other_port).and_then(Value::as_str).unwrap_or_default(),
    };
    let links =
        |port: &'a Value| port.get("connections").and_then(Value::as_array).into_iter().flatten().map(link).collect();
    let mut ports: Vec<Port<'a>> = ports.iter().map(|(name, port)| Port { name, links: links(port) }).collect();
    ports.sort_by_key(|port| number(port.name));
    ports
}

#[derive(Clone, Copy)]
enum End {
    Output,
    Input,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    from: String,
    output: String,
    to: String,
    input: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, output, to, input } = self;
        write!(f, "{from}.{output} → {to}.{input}")
    }
}

/// The lines of a node, as one of its sides tells them.
fn lines(key: &str, raw: &Value, end: End) -> Vec<Line> {
    let (side, other_port) = match end {
        End::Output => ("outputs", "output"),
        End::Input => ("inputs", "input"),
    };
    let line = |port: &str, link: Link<'_>| {
        let (here, there) = ((key.to_owned(), port.to_owned()), (link.node.unwrap_or_default(), link.port.to_owned()));
        let ((from, output), (to, input)) = match end {
            End::Output => (here, there),
            End::Input => (there, here),
        };
        Line { from, output, to, input }
    };
    let all = ports(raw, side, other_port).into_iter();
    all.flat_map(|Port { name, links }| links.into_iter().map(move |link| line(name, link)).collect::<Vec<_>>())
        .collect()
}
