//! Ends the run.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::Outcome;
use crate::flow::validation::Report;

const OUTCOME_MAX: usize = 100;

/// `{"outcome": "booked"}`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct End {
    /// What the run came to, in the flow's own word.
    pub outcome: Option<String>,
}

impl NodeKind for End {
    fn exits(&self) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, report: &mut Report<'_>) {
        report.shown_if_any("outcome", self.outcome.as_deref(), OUTCOME_MAX);
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let detail = step.render_if_any(self.outcome.as_deref(), OUTCOME_MAX);
        Next::End { outcome: Outcome::Completed, detail }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn it_is_checked() {
        assert_eq!(testing::wrong_fields(&testing::node::<End>(json!({"outcome": "{{"}))), ["outcome"]);
    }
}
