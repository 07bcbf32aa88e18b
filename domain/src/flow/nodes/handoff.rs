//! Gives the conversation to a person; the run ends.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::send_text::{TEXT_MAX, say};
use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, Handoff, Outcome, TEXT_CHARS_MAX};
use crate::flow::validation::Report;

string_enum! {
    /// How a person is picked when none is named.
    Strategy { LeastBusy = "least_busy", RoundRobin = "round_robin" }
}

/// `{"strategy": "least_busy", "note": "Asked for {{ topic }}", "message": "One moment, please."}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HandoffNode {
    /// A person …
    pub assignee_id: Option<String>,
    /// … or how one is picked.
    pub strategy: Option<Strategy>,
    /// What the person should know.
    pub note: Option<String>,
    /// What is said to the customer first.
    pub message: Option<String>,
}

impl NodeKind for HandoffNode {
    fn exits(&self) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown_if_any("note", self.note.as_deref(), TEXT_CHARS_MAX);
        report.shown_if_any("message", self.message.as_deref(), TEXT_MAX);
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        if let Some(message) = self.message.as_deref().filter(|text| !text.is_empty()) {
            say(step, message, false);
        }
        let assignee_id = self.assignee_id.clone().filter(|id| !id.is_empty());
        let strategy = self.strategy.map(|strategy| strategy.to_string());
        let note = step.render_if_any(self.note.as_deref(), TEXT_CHARS_MAX);
        step.act(Action::HandOff(Handoff { assignee_id, strategy, note }));
        Next::End { outcome: Outcome::HandedOff, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_is_checked() {
        let node: HandoffNode = testing::node(json!({"note": "{{", "message": "a".repeat(TEXT_MAX + 1)}));
        assert_eq!(testing::wrong_fields(&node), ["note", "message"]);
        assert!(serde_json::from_value::<HandoffNode>(json!({"strategy": "loudest"})).is_err());
    }
}
