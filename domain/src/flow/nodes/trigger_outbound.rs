//! Starts a run from `POST /api/webhook/outbound`.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step, Trigger};

/// `{"requireTemplateWhenWindowClosed": true}`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerOutbound {
    /// Whether it may start outside the 24-hour window only when its first message is a template.
    pub require_template_when_window_closed: bool,
}

impl Default for TriggerOutbound {
    fn default() -> Self {
        Self { require_template_when_window_closed: true }
    }
}

impl NodeKind for TriggerOutbound {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn is_trigger(&self) -> bool {
        true
    }

    fn trigger(&self) -> Option<Trigger<'_>> {
        Some(Trigger::Outbound(self))
    }

    fn enter(&self, _step: &mut Step<'_>) -> Next {
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing::node;

    #[test]
    fn it_asks_for_a_template_unless_told_otherwise() {
        assert!(node::<TriggerOutbound>(json!({})).require_template_when_window_closed);
        let lax = json!({"requireTemplateWhenWindowClosed": false});
        assert!(!node::<TriggerOutbound>(lax).require_template_when_window_closed);
    }
}
