//! Goes on at another node, without a line on the canvas.

use serde::{Deserialize, Deserializer, Serialize};

use crate::flow::graph::NodeId;
use crate::flow::nodes::{Next, NodeKind, Step};

/// `{"nodeId": "5"}`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Goto {
    /// The node; Drawflow's ids may be numbers.
    #[serde(deserialize_with = "text_or_number")]
    pub node_id: NodeId,
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the id of a node")]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(NodeId(match Id::deserialize(deserializer)? {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => text,
    }))
}

impl NodeKind for Goto {
    fn exits(&self) -> Vec<String> {
        Vec::new()
    }

    fn jump(&self) -> Option<&NodeId> {
        Some(&self.node_id)
    }

    fn enter(&self, _step: &mut Step<'_>) -> Next {
        Next::Goto(self.node_id.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn an_id_may_be_a_number() {
        assert_eq!(testing::node::<Goto>(json!({"nodeId": 5})).node_id, NodeId("5".into()));
        assert!(serde_json::from_value::<Goto>(json!({})).is_err());
    }
}
