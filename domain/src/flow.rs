//! A flow: a graph people edit, versions that run, and a switch.

pub mod command;
pub mod decide;
pub mod drawflow;
pub mod engine;
pub mod error;
pub mod event;
pub mod graph;
pub mod local_time;
pub mod nodes;
pub mod pattern;
pub mod rule;
pub mod run;
pub mod soundness;
pub mod template;
pub mod typed;
pub mod validation;

#[cfg(test)]
pub(crate) mod properties;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::decide::aggregate;
use crate::flow::command::FlowCommand;
use crate::flow::error::FlowError;
use crate::flow::event::FlowEvent;
use crate::shared::ids::FlowId;

string_enum! {
    /// Whether a flow runs.
    FlowStatus {
        /// Worked on; it starts no runs.
        Draft = "draft",
        /// Its last published version starts runs.
        Active = "active",
        /// Switched off; waiting runs go on.
        Paused = "paused",
    }
}

/// What is known of a flow that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenFlow {
    /// Its id.
    pub id: FlowId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it runs.
    pub status: FlowStatus,
    /// The graph as last saved.
    pub draft: Value,
    /// The last published version; 0 before the first.
    pub version: u32,
    /// The graph of that version.
    pub published: Value,
}

/// A flow's life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Flow {
    /// Not created yet.
    #[default]
    Absent,
    /// It exists.
    Open(Box<OpenFlow>),
    /// It was deleted; its history stays.
    Deleted,
}

aggregate!(Flow, "flow", FlowCommand, FlowEvent, FlowError);

/// A flow is about nobody.
impl crate::personal::Personal for Flow {
    fn contact(&self) -> Option<crate::shared::ids::ContactId> {
        None
    }

    fn without_person(_: &FlowEvent) -> Option<FlowEvent> {
        None
    }
}

impl Flow {
    /// The flow, if it exists.
    pub fn open(&self) -> Option<&OpenFlow> {
        match self {
            Self::Open(flow) => Some(flow),
            Self::Absent | Self::Deleted => None,
        }
    }

    pub(crate) fn apply_event(&mut self, event: FlowEvent) {
        if let FlowEvent::Created { flow_id, name, description, .. } = event {
            *self = Self::Open(Box::new(OpenFlow {
                id: flow_id,
                name,
                description,
                status: FlowStatus::Draft,
                draft: empty_drawflow(),
                version: 0,
                published: Value::Null,
            }));
            return;
        }
        let Self::Open(flow) = self else { return };
        match event {
            FlowEvent::Created { .. } => {}
            FlowEvent::Renamed { name, description, .. } => (flow.name, flow.description) = (name, description),
            FlowEvent::GraphChanged { drawflow, .. } => flow.draft = drawflow,
            FlowEvent::VersionPublished { version, drawflow, .. } => {
                (flow.version, flow.published) = (version, drawflow);
            }
            FlowEvent::Activated { .. } => flow.status = FlowStatus::Active,
            FlowEvent::Paused { .. } => flow.status = FlowStatus::Paused,
            FlowEvent::ReturnedToDraft { .. } => flow.status = FlowStatus::Draft,
            FlowEvent::Deleted { .. } => *self = Self::Deleted,
        }
    }
}

/// The Drawflow export of an empty canvas.
pub fn empty_drawflow() -> Value {
    json!({ "drawflow": { "Home": { "data": {} } } })
}
