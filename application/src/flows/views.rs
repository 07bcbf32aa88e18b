//! What is shown of flows.

use domain::flow::event::FlowEvent;
use domain::flow::validation::Problem;
use domain::flow::{Flow, FlowStatus, empty_drawflow};
use domain::shared::ids::FlowId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// A flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct FlowView {
    /// Its id.
    pub id: FlowId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `active` flows start runs with their last published version.
    pub status: FlowStatus,
    /// The last published version; 0 before the first.
    pub version: u32,
    /// The graph as last saved, as Drawflow JSON.
    pub drawflow_data: Value,
    /// What is odd about the graph without keeping it from running.
    #[serde(default)]
    pub warnings: Vec<Problem>,
    /// When it was made.
    pub created_at: Stamp,
    /// When it was last changed.
    pub updated_at: Stamp,
}

impl Default for FlowView {
    fn default() -> Self {
        Self {
            id: FlowId(Uuid::nil()),
            name: String::new(),
            description: String::new(),
            status: FlowStatus::Draft,
            version: 0,
            drawflow_data: empty_drawflow(),
            warnings: Vec::new(),
            created_at: Stamp::default(),
            updated_at: Stamp::default(),
        }
    }
}

impl Document for FlowView {
    const NAME: &'static str = "flow_view";
    type Aggregate = Flow;

    fn key(recorded: &Recorded<FlowEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<FlowEvent>) -> bool {
        match &recorded.event {
            FlowEvent::Created { flow_id, name, description, at } => {
                (self.id, self.name, self.description) = (*flow_id, name.clone(), description.clone());
                (self.created_at, self.updated_at) = (Stamp(*at), Stamp(*at));
            }
            FlowEvent::Renamed { name, description, at } => {
                (self.name, self.description, self.updated_at) = (name.clone(), description.clone(), Stamp(*at));
            }
            FlowEvent::GraphChanged { drawflow, at } => {
                self.drawflow_data = drawflow.clone();
                self.warnings = domain::flow::drawflow::read(drawflow).map(|read| read.warnings).unwrap_or_default();
                self.updated_at = Stamp(*at);
            }
            FlowEvent::VersionPublished { version, at, .. } => (self.version, self.updated_at) = (*version, Stamp(*at)),
            FlowEvent::Activated { at, .. } => (self.status, self.updated_at) = (FlowStatus::Active, Stamp(*at)),
            FlowEvent::Paused { at } => (self.status, self.updated_at) = (FlowStatus::Paused, Stamp(*at)),
            FlowEvent::ReturnedToDraft { at } => (self.status, self.updated_at) = (FlowStatus::Draft, Stamp(*at)),
            FlowEvent::Deleted { .. } => return false,
        }
        true
    }
}

/// A published version of a flow. It outlives the flow, because runs are pinned to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct FlowVersionView {
    /// The flow.
    pub flow_id: Uuid,
    /// From 1.
    pub version: u32,
    /// Its graph, as Drawflow JSON.
    pub drawflow_data: Value,
    /// When it was published.
    pub published_at: Stamp,
}

impl Document for FlowVersionView {
    const NAME: &'static str = "flow_version_view";
    type Aggregate = Flow;
    const READS: &'static [&'static str] = &["flow.version_published"];

    fn key(recorded: &Recorded<FlowEvent>) -> Option<String> {
        match &recorded.event {
            FlowEvent::VersionPublished { version, .. } => Some(format!("{}/{version}", recorded.stream.id)),
            FlowEvent::Created { .. }
            | FlowEvent::Renamed { .. }
            | FlowEvent::GraphChanged { .. }
            | FlowEvent::Activated { .. }
            | FlowEvent::Paused { .. }
            | FlowEvent::ReturnedToDraft { .. }
            | FlowEvent::Deleted { .. } => None,
        }
    }

    fn apply(&mut self, recorded: &Recorded<FlowEvent>) -> bool {
        if let FlowEvent::VersionPublished { version, drawflow, at } = &recorded.event {
            *self = Self {
                flow_id: recorded.stream.id,
                version: *version,
                drawflow_data: drawflow.clone(),
                published_at: Stamp(*at),
            };
        }
        true
    }
}
