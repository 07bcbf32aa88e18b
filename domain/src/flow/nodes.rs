//! The registry of node kinds: a kind is one file and one line here.

use std::fmt::Debug;

use chrono::TimeDelta;
use serde_json::Value;

use crate::flow::engine::Input;
use crate::flow::graph::NodeId;
use crate::flow::run::{Action, Env, Outcome, Run, TEXT_CHARS_MAX, Variables, Wait, WaitFor};
use crate::flow::template;
use crate::flow::validation::Report;

/// What a node leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Leave by this exit.
    Exit(String),
    /// Go on at this node.
    Goto(NodeId),
    /// Stay here and wait.
    Wait(Wait),
    /// The run is over.
    End {
        /// How.
        outcome: Outcome,
        /// In the flow's own word.
        detail: Option<String>,
    },
}

impl Next {
    /// Leave by `exit`.
    pub fn exit(exit: &str) -> Self {
        Self::Exit(exit.to_owned())
    }
}

/// A kind of node: its data, read from Drawflow, is the implementing struct.
pub trait NodeKind: Debug + Send + Sync {
    /// Its exits, in the order ports map to them: dynamic ones first, then the fixed ones.
    fn exits(&self) -> Vec<String>;

    /// What is wrong with its data; every problem, not the first.
    fn check(&self, _report: &mut Report<'_>) {}

    /// Whether a run may start here.
    fn is_trigger(&self) -> bool {
        false
    }

    /// Whether it always ends the unit of work, so that a cycle through it is bounded by the outside.
    fn waits(&self) -> bool {
        false
    }

    /// A node that it jumps to without an edge (`goto`).
    fn jump(&self) -> Option<&NodeId> {
        None
    }

    /// The trigger behind it, for the kinds that start runs.
    fn trigger(&self) -> Option<Trigger<'_>> {
        None
    }

    /// The run enters it.
    fn enter(&self, step: &mut Step<'_>) -> Next;

    /// The run, which waits here, gets what it waited for.
    fn resume(&self, _step: &mut Step<'_>, _input: &Input<'_>) -> Next {
        Next::exit("next")
    }
}

/// A trigger node, seen by whoever starts runs.
#[derive(Debug, Clone, Copy)]
pub enum Trigger<'a> {
    /// A customer's message starts it.
    Message(&'a trigger_message::TriggerMessage),
    /// `POST /api/webhook/outbound` starts it.
    Outbound(&'a trigger_outbound::TriggerOutbound),
    /// `POST /api/webhook/flow/{flowId}/lead` starts it.
    LeadApi(&'a trigger_lead_api::TriggerLeadApi),
    /// `GET,POST /api/webhook/flow/{flowId}` starts it.
    Api(&'a trigger_api::TriggerApi),
}

/// What a node may do during one unit of work.
pub struct Step<'a> {
    run: &'a Run,
    env: &'a Env,
    variables: Variables,
    changed: Variables,
    scopes: crate::flow::run::Scopes,
    actions: Vec<Action>,
    warnings: Vec<String>,
}

impl<'a> Step<'a> {
    /// A step of this run, before anything happened.
    pub fn new(run: &'a Run, env: &'a Env) -> Self {
        Self {
            run,
            env,
            variables: run.variables.clone(),
            changed: Variables::new(),
            scopes: run.scopes.clone(),
            actions: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The outside.
    pub fn env(&self) -> &'a Env {
        self.env
    }

    /// What the run was waiting for when this unit of work began.
    pub fn wait(&self) -> Option<&'a Wait> {
        self.run.wait.as_ref()
    }

    /// A text with its variables filled in, cut at [`TEXT_CHARS_MAX`]. A missing variable renders empty and warns.
    pub fn render(&mut self, text: &str) -> String {
        let rendered = template::render(text, &self.values());
        self.warnings.extend(rendered.warnings);
        let mut text = rendered.text;
        if let Some((cut, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            self.warnings.push(format!("a text was cut at {TEXT_CHARS_MAX} characters"));
            text.truncate(cut);
        }
        text
    }

    /// The value a path names, such as `lead.email` or `order.items[0].sku`.
    pub fn lookup(&self, path: &str) -> Option<Value> {
        template::lookup(path, &self.values())
    }

    /// Sets a run variable.
    pub fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value.clone());
        self.changed.insert(name.to_owned(), value);
    }

    /// Asks for something.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Notes what went wrong without stopping the run.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The scopes, so that a node sees what it changed itself (`update_lead`).
    pub fn scopes_mut(&mut self) -> &mut crate::flow::run::Scopes {
        &mut self.scopes
    }

    /// The same, cut at what the channel allows.
    pub fn render_max(&mut self, text: &str, max: usize) -> String {
        let mut text = self.render(text);
        if let Some((cut, _)) = text.char_indices().nth(max) {
            self.warn(format!("a text was cut at {max} characters"));
            text.truncate(cut);
        }
        text
    }

    /// The same for a text that may be left out; nothing when it renders empty.
    pub fn render_if_any(&mut self, text: Option<&str>, max: usize) -> Option<String> {
        text.map(|text| self.render_max(text, max)).filter(|text| !text.is_empty())
    }

    /// A value of the flow's author: a text is a template, and one that is a single `{{ path }}` keeps the
    /// type of what it names; other JSON stays as it is.
    pub fn fill(&mut self, value: &Value) -> Value {
        let Value::String(text) = value else { return value.clone() };
        match template::single_path(text).and_then(|path| self.lookup(path)) {
            Some(found) => found,
            None => Value::String(self.render(text)),
        }
    }

    /// Sets the variable a node saves its answer under, when it names one.
    pub fn save(&mut self, name: Option<&str>, value: Value) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.set(name, value);
        }
    }

    /// Waits for the customer, at most `timeout_sec`; no timeout when it is absent or 0.
    pub fn await_reply(&self, timeout_sec: Option<u32>, refused: u32) -> Next {
        let timeout = timeout_sec.filter(|seconds| *seconds > 0);
        let until = timeout.map(|seconds| self.env.now + TimeDelta::seconds(seconds.into()));
        Next::Wait(Wait { wait_for: WaitFor::Reply, until, refused })
    }

    /// Goes on waiting as before: what came is not what the node waits for.
    pub fn keep_waiting(&self) -> Next {
        let unbounded = Wait { wait_for: WaitFor::Reply, until: None, refused: 0 };
        Next::Wait(self.run.wait.clone().unwrap_or(unbounded))
    }

    /// Everything a template sees.
    fn values(&self) -> template::Values<'_> {
        template::Values { variables: &self.variables, scopes: &self.scopes, env: self.env }
    }

    /// What the unit of work came to.
    pub fn into_parts(self) -> (Vec<Action>, Variables, Vec<String>) {
        (self.actions, self.changed, self.warnings)
    }
}

pub mod choices;
pub mod unknown;
pub mod webhook;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
pub(crate) mod testing;

/// Lists the kinds: the name in Drawflow and the struct its data is read into.
macro_rules! node_kinds {
    ($($name:literal => $module:ident :: $kind:ident),+ $(,)?) => {
        $(pub mod $module;)+

        /// Every kind this build can run.
        pub const KINDS: &[&str] = &[$($name),+];

        /// Reads the data of a node; `None` for a kind this build cannot run.
        pub fn read(kind: &str, data: &Value) -> Option<Result<Box<dyn NodeKind>, serde_json::Error>> {
            match kind {
                $($name => Some(
                    <$module::$kind as serde::Deserialize>::deserialize(data).map(|node| Box::new(node) as Box<dyn NodeKind>),
                ),)+
                _ => None,
            }
        }
    };
}

node_kinds! {
    "trigger_message"  => trigger_message::TriggerMessage,
    "trigger_outbound" => trigger_outbound::TriggerOutbound,
    "trigger_lead_api" => trigger_lead_api::TriggerLeadApi,
    "trigger_api"      => trigger_api::TriggerApi,
    "send_text"        => send_text::SendText,
    "send_media"       => send_media::SendMedia,
    "send_template"    => send_template::SendTemplate,
    "send_buttons"     => send_buttons::SendButtons,
    "send_list"        => send_list::SendList,
    "ask"              => ask::Ask,
    "wait_reply"       => wait_reply::WaitReply,
    "delay"            => delay::Delay,
    "condition"        => condition::Condition,
    "set_variable"     => set_variable::SetVariable,
    "goto"             => goto::Goto,
    "update_lead"      => update_lead::UpdateLead,
    "handoff"          => handoff::HandoffNode,
    "end"              => end::End,
}
