//! Why a flow refuses.

use crate::flow::validation::Problem;

/// A rule of flows that a command breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// No such flow, or no longer.
    #[error("there is no such flow")]
    NotFound,
    /// Its id is taken.
    #[error("the flow exists already")]
    Exists,
    /// The name is empty or too long.
    #[error("a flow's name has 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// The description is too long.
    #[error("a flow's description has at most {DESCRIPTION_CHARS_MAX} characters")]
    Description,
    /// The graph cannot run as it is.
    #[error("the graph has {} problem(s)", .0.len())]
    Graph(Vec<Problem>),
}

/// Characters in a flow's name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters in a flow's description.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;
