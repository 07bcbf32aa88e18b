//! A kind this build cannot run: it keeps its place in the graph, and a run that comes to it fails.

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::Outcome;

/// Why such a run fails.
pub const UNKNOWN_KIND: &str = "unknown_kind";

/// Stands in for a kind this build cannot run.
#[derive(Debug, Clone, Copy)]
pub struct Unknown;

impl NodeKind for Unknown {
    fn exits(&self) -> Vec<String> {
        Vec::new()
    }

    fn waits(&self) -> bool {
        true
    }

    fn enter(&self, _step: &mut Step<'_>) -> Next {
        Next::End { outcome: Outcome::Failed, detail: Some(UNKNOWN_KIND.to_owned()) }
    }
}
