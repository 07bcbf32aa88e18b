//! Reads Drawflow JSON into a graph that runs. Every problem is told at once; the JSON itself is kept as it
//! came by whoever stores it, so nothing is ever written back.

mod links;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::flow::graph::{Graph, Node, NodeId};
use crate::flow::nodes::unknown::Unknown;
use crate::flow::nodes::{self, NodeKind};
use crate::flow::soundness;
use crate::flow::validation::{Problem, Report};
use crate::reason;
use crate::shared::reason::Reason;

/// Nodes of one flow.
pub const NODES_MAX: usize = 1000;
/// Exits of one node.
pub const EXITS_MAX: usize = 100;
/// Bytes of the JSON of one flow.
pub const JSON_BYTES_MAX: usize = 256 * 1024;

/// A graph that can run, and what its author should know.
#[derive(Debug)]
pub struct ReadGraph {
    /// The graph.
    pub graph: Graph,
    /// What is odd about it.
    pub warnings: Vec<Problem>,
}

/// Reads an export of Drawflow (`{"drawflow": {"Home": {"data": {…}}}}`); all its modules are one graph.
///
/// # Errors
/// Every reason why it cannot run.
pub fn read(drawflow: &Value) -> Result<ReadGraph, Vec<Problem>> {
    let mut reader = Reader::default();
    reader.check_size(drawflow);
    let modules = reader.modules(drawflow);
    if reader.too_large(&modules) {
        return Err(reader.problems);
    }
    for module in &modules {
        reader.module(module);
    }
    let graph = Graph::new(reader.nodes);
    reader.problems.extend(soundness::problems(&graph));
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    reader.warnings.extend(soundness::unreachable(&graph));
    Ok(ReadGraph { graph, warnings: reader.warnings })
}

/// The nodes of one module, by key.
type Module<'a> = &'a Map<String, Value>;

#[derive(Default)]
struct Reader {
    nodes: BTreeMap<NodeId, Node>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader {
    fn check_size(&mut self, drawflow: &Value) {
        if drawflow.to_string().len() > JSON_BYTES_MAX {
            let reason = reason!("flow_too_large", "must not be larger than {max} KiB", max = JSON_BYTES_MAX / 1024);
            self.problems.push(Problem::of_flow(reason));
        }
    }

    fn modules<'a>(&mut self, drawflow: &'a Value) -> Vec<Module<'a>> {
        let Some(modules) = drawflow.get("drawflow").and_then(Value::as_object) else {
            self.problems.push(Problem::of_field("drawflow", reason!("missing", "is missing")));
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, module) in modules {
            match module.get("data").and_then(Value::as_object) {
                Some(data) => all.push(data),
                None => {
                    let reason = reason!("missing", "is missing");
                    self.problems.push(Problem::of_field(format!("drawflow.{name}.data"), reason));
                }
            }
        }
        all
    }

    fn too_large(&mut self, modules: &[Module<'_>]) -> bool {
        let count: usize = modules.iter().map(|module| module.len()).sum();
        if count > NODES_MAX {
            let reason =
                reason!("too_many_nodes", "must not have more than {max} nodes, has {count}", max = NODES_MAX, count);
            self.problems.push(Problem::of_flow(reason));
        }
        count > NODES_MAX
    }

    fn module(&mut self, module: Module<'_>) {
        for (key, raw) in module {
            let node = self.node(key, raw, module);
            if self.nodes.insert(NodeId(key.clone()), node).is_some() {
                self.problems.push(Problem::of_node(key, reason!("in_two_modules", "stands in two modules")));
            }
        }
        self.warnings.extend(links::asymmetries(module));
    }

    fn node(&mut self, key: &str, raw: &Value, module: Module<'_>) -> Node {
        let id = raw.get("id").map(links::id_text);
        if id.as_deref() != Some(key) {
            let id = id.unwrap_or_default();
            self.field_problem(
                key,
                "id",
                reason!("id_not_key", "`{id}` is not the key `{key}` it stands under", id, key),
            );
        }
        let kind_name = raw.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let empty = Value::Object(Map::new());
        let data = raw.get("data").filter(|data| !data.is_null()).unwrap_or(&empty);
        let kind = self.kind(key, &kind_name, data);
        let targets = self.targets(key, raw, data, kind.as_deref(), module);
        Node { kind_name, kind: kind.unwrap_or_else(|| Box::new(Unknown)), targets }
    }

    /// The node's behaviour; `None` when its kind is unknown or its data cannot be read.
    fn kind(&mut self, key: &str, name: &str, data: &Value) -> Option<Box<dyn NodeKind>> {
        let Some(read) = nodes::read(name, data) else {
            let reason =
                reason!("unknown_kind", "kind `{kind}` is not known here; a run that comes to it fails", kind = name);
            self.warnings.push(Problem::of_node_field(key, "name", reason));
            return None;
        };
        let kind = match read {
            Ok(kind) => kind,
            Err(error) => {
                self.field_problem(key, "data", reason!("data_unreadable", "cannot be read: {error}", error));
                return None;
            }
        };
        let mut report = Report::new(key);
        kind.check(&mut report);
        let (problems, warnings) = report.into_parts();
        self.problems.extend(problems);
        self.warnings.extend(warnings);
        Some(kind)
    }

    fn targets(
        &mut self,
        key: &str,
        raw: &Value,
        data: &Value,
        kind: Option<&dyn NodeKind>,
        module: Module<'_>,
    ) -> HashMap<String, NodeId> {
        let exits = kind.map(|kind| kind.exits());
        let named = data.get("exits").and_then(Value::as_object);
        if let (Some(exits), Some(named)) = (&exits, named) {
            self.check_exit_names(key, exits, named);
        }
        let ports = links::outputs(raw);
        let exit_count = exits.as_ref().map_or(0, Vec::len).max(ports.len());
        if exit_count > EXITS_MAX {
            self.field_problem(key, "outputs", reason!("too_many", "must not be more than {max}", max = EXITS_MAX));
            return HashMap::new();
        }
        let mut targets = HashMap::new();
        for port in &ports {
            let Some(target) = self.target(key, port, module) else { continue };
            let exit = match &exits {
                Some(exits) => links::exit_of(port.name, exits, named),
                None => Some(port.name.to_owned()),
            };
            match exit {
                None => {
                    let reason = reason!("no_such_exit_of_output", "belongs to no exit of this node");
                    self.field_problem(key, port.name, reason);
                }
                Some(exit) => {
                    if targets.insert(exit.clone(), target).is_some() {
                        let reason = reason!("second_output", "is a second output for the exit `{exit}`", exit);
                        self.field_problem(key, port.name, reason);
                    }
                }
            }
        }
        targets
    }

    fn check_exit_names(&mut self, key: &str, exits: &[String], named: &Map<String, Value>) {
        for (port, exit) in named {
            if !exit.as_str().is_some_and(|exit| exits.iter().any(|known| known == exit)) {
                let reason = reason!("no_such_exit", "this node has no exit {exit}", exit);
                self.field_problem(key, &format!("exits.{port}"), reason);
            }
        }
    }

    /// The one node a port leads to.
    fn target(&mut self, key: &str, port: &links::Port<'_>, module: Module<'_>) -> Option<NodeId> {
        let mut targets: Vec<String> = Vec::new();
        for link in &port.links {
            match &link.node {
                Some(node) if module.contains_key(node) => targets.push(node.clone()),
                Some(node) => {
                    let reason = reason!("no_such_node", "node `{node}` does not exist in this module", node);
                    self.field_problem(key, port.name, reason);
                }
                None => {
                    let reason = reason!("connection_without_node", "a connection names no node");
                    self.field_problem(key, port.name, reason);
                }
            }
        }
        targets.dedup();
        if targets.len() > 1 {
            let reason = reason!("several_targets", "leads to several nodes: {nodes}", nodes = targets.join(", "));
            self.field_problem(key, port.name, reason);
        }
        targets.into_iter().next().map(NodeId)
    }

    fn field_problem(&mut self, key: &str, field: &str, reason: Reason) {
        self.problems.push(Problem::of_node_field(key, field, reason));
    }
}

#[cfg(test)]
mod tests;
