//! A run: one walk of one conversation through one version of a flow, and what a unit of work did.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flow::graph::NodeId;
use crate::shared::content::OutboundContent;
use crate::shared::ids::{FlowId, RunId};

/// Variables of a run, by name.
pub type Variables = Map<String, Value>;

/// What a run knows of the world beyond its variables: the scopes `contact`, `lead`, `conversation`,
/// `flow` and `trigger` of the template language. Recorded, so that a run replays without the outside.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scopes {
    /// `contact.*`: name, phone, language, fields.
    #[serde(default)]
    pub contact: Value,
    /// `lead.*`.
    #[serde(default)]
    pub lead: Value,
    /// `conversation.*`.
    #[serde(default)]
    pub conversation: Value,
    /// `flow.*`.
    #[serde(default)]
    pub flow: Value,
    /// `trigger.*`: the payload that started the run.
    #[serde(default)]
    pub trigger: Value,
}

string_enum! {
    /// What a waiting run waits for.
    WaitFor {
        /// The customer's next message.
        Reply = "reply",
        /// A moment in time, and nothing else.
        Time = "time",
        /// The channel's answer to the run's last message.
        Delivery = "delivery",
    }
}

/// Where and for what a run waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// What resumes it.
    pub wait_for: WaitFor,
    /// When it gives up waiting (leaves by `timeout`) or, for [`WaitFor::Time`], goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// How many answers were refused so far (`ask`).
    #[serde(default)]
    pub refused: u32,
}

/// A run as the engine sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The flow it walks.
    pub flow_id: FlowId,
    /// The published version it is pinned to.
    pub version: u32,
    /// The node it stands at.
    pub node: NodeId,
    /// What it waits for; `None` only while a unit of work is under way.
    pub wait: Option<Wait>,
    /// How many waits it has come to: a timer carries this number, and one that comes late is ignored.
    pub step: u32,
    /// Units of work so far; at most [`UNITS_MAX`].
    pub units: u32,
    /// Its variables.
    pub variables: Variables,
    /// The world as recorded.
    pub scopes: Scopes,
    /// When it ends even if still waiting.
    pub expires_at: DateTime<Utc>,
}

/// Units of work a run may take.
pub const UNITS_MAX: u32 = 500;
/// Nodes entered in one unit of work.
pub const NODES_PER_UNIT_MAX: usize = 100;
/// Characters of one rendered text.
pub const TEXT_CHARS_MAX: usize = 10_000;
/// How long a run waits when the flow does not say: 14 days, in seconds.
pub const EXPIRES_AFTER_SEC: u32 = 14 * 24 * 3600;

string_enum! {
    /// How a run ended.
    Outcome {
        /// It came to an end node or an exit that leads nowhere.
        Completed = "completed",
        /// A person took over.
        HandedOff = "handed_off",
        /// It broke a limit or its graph.
        Failed = "failed",
        /// It waited longer than it may.
        Expired = "expired",
        /// Another trigger took its place.
        Superseded = "superseded",
        /// It said the same thing too often.
        Looping = "looping",
        /// A person claimed or closed the conversation.
        Stopped = "stopped",
    }
}

/// One node visited, and the exit it was left by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// The node.
    pub node: NodeId,
    /// Its kind.
    pub kind: String,
    /// The exit taken; none when the run waits or ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
}

/// What is changed of a lead (`update_lead`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeadChange {
    /// The new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Fields set; null removes one.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Tags added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
}

/// Whom a handoff is meant for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Handoff {
    /// A person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<String>,
    /// `least_busy` or `round_robin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// What the person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something a unit of work asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a message to the contact.
    Send(OutboundContent),
    /// Change the contact's lead.
    UpdateLead(LeadChange),
    /// Give the conversation to a person.
    HandOff(Handoff),
}

/// Where a unit of work came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// It waits at a node.
    Waiting {
        /// The node.
        node: NodeId,
        /// For what.
        wait: Wait,
    },
    /// The run is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// The word of an `end` node, or why it failed (`step_limit`, `missing_node`, …).
        detail: Option<String>,
    },
}

/// What one unit of work did.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The nodes it went through.
    pub path: Vec<Visit>,
    /// What it asks for, in order.
    pub actions: Vec<Action>,
    /// Variables that were set, with their new values.
    pub changed: Variables,
    /// What went wrong without stopping the run (a missing variable …).
    pub warnings: Vec<String>,
    /// Where it came to rest.
    pub rest: Rest,
}

/// The part of the outside one unit of work may see.
#[derive(Debug, Clone)]
pub struct Env {
    /// Now.
    pub now: DateTime<Utc>,
    /// The account's time zone.
    pub timezone: chrono_tz::Tz,
    /// Whether the 24-hour window is open.
    pub window_open: bool,
}
