//! What can be asked of a flow.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::flow::FlowStatus;
use crate::shared::ids::FlowId;

/// What is changed of a flow; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlowChange {
    /// A name, 1 to 200 characters.
    pub name: Option<String>,
    /// A description, at most 2 000 characters.
    pub description: Option<String>,
    /// A whole graph as Drawflow JSON.
    pub drawflow: Option<Value>,
    /// On, off, or back to draft.
    pub status: Option<FlowStatus>,
}

/// A wish about one flow.
#[derive(Debug, Clone, PartialEq)]
pub enum FlowCommand {
    /// Make it.
    Create {
        /// Its id.
        id: FlowId,
        /// Its first content; the name is required.
        change: FlowChange,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Change it.
    Change {
        /// What.
        change: FlowChange,
        /// Now.
        at: DateTime<Utc>,
    },
    /// Freeze the saved graph as the next version.
    Publish {
        /// Now.
        at: DateTime<Utc>,
    },
    /// Delete it.
    Delete {
        /// Now.
        at: DateTime<Utc>,
    },
}
