//! The graph of a flow, read from Drawflow JSON. The JSON itself is kept as it came, so that the round
//! trip is lossless; this is the part that runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::flow::nodes::NodeKind;

/// The key of a node in Drawflow: a number or a UUID, always as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node that can run.
#[derive(Debug)]
pub struct Node {
    /// Its kind's name in Drawflow.
    pub kind_name: String,
    /// Its behaviour.
    pub kind: Box<dyn NodeKind>,
    /// Where each exit leads.
    pub targets: HashMap<String, NodeId>,
}

/// A graph that can run.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<NodeId, Node>,
}

/// A graph shared by every run of its version.
pub type SharedGraph = Arc<Graph>;

impl Graph {
    /// A graph of these nodes.
    pub(crate) fn new(nodes: BTreeMap<NodeId, Node>) -> Self {
        Self { nodes }
    }

    /// The nodes a run may go to from a node: where its exits lead, then where it jumps.
    pub(crate) fn successors<'a>(&'a self, id: &NodeId) -> impl Iterator<Item = &'a NodeId> + use<'a> {
        let node = self.nodes.get(id);
        node.into_iter().flat_map(|node| node.targets.values().chain(node.kind.jump()))
    }

    /// The nodes a run may start at, in the order of their keys.
    pub fn triggers(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.kind.is_trigger())
    }

    /// A node by its key.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Where an exit of a node leads.
    pub fn target(&self, id: &NodeId, exit: &str) -> Option<&NodeId> {
        self.nodes.get(id)?.targets.get(exit)
    }

    /// Every node, in the order of their keys.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }
}
