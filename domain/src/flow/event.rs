//! What happened to a flow.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decide::event_tags;
use crate::shared::ids::FlowId;

/// A fact about a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum FlowEvent {
    /// It came to be, with an empty graph.
    Created { flow_id: FlowId, name: String, description: String, at: DateTime<Utc> },
    /// It is called and described otherwise.
    Renamed { name: String, description: String, at: DateTime<Utc> },
    /// Its graph was saved.
    GraphChanged { drawflow: Value, at: DateTime<Utc> },
    /// A graph was frozen under a number; runs are pinned to it.
    VersionPublished { version: u32, drawflow: Value, at: DateTime<Utc> },
    /// It starts runs from now on.
    Activated { version: u32, at: DateTime<Utc> },
    /// It starts no runs from now on.
    Paused { at: DateTime<Utc> },
    /// It is worked on again and starts no runs from now on.
    ReturnedToDraft { at: DateTime<Utc> },
    /// It is gone.
    Deleted { at: DateTime<Utc> },
}

event_tags!(FlowEvent {
    Created = "flow.created",
    Renamed = "flow.renamed",
    GraphChanged = "flow.graph_changed",
    VersionPublished = "flow.version_published",
    Activated = "flow.activated",
    Paused = "flow.paused",
    ReturnedToDraft = "flow.returned_to_draft",
    Deleted = "flow.deleted",
});
