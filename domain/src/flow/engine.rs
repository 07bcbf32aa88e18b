//! `advance(graph, run, input) → turn`: one unit of work. Pure, bounded, stops at waits.

use crate::flow::graph::{Graph, NodeId};
use crate::flow::nodes::{Next, Step};
use crate::flow::run::{Action, Env, NODES_PER_UNIT_MAX, Outcome, Rest, Run, Turn, UNITS_MAX, Variables, Visit};
use crate::shared::inbound::InboundMessage;

/// What sets a run going.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// It starts: leave the node it stands at (the trigger) by its `next` exit.
    Start,
    /// The customer wrote.
    Reply(&'a InboundMessage),
    /// Its deadline passed.
    Timeout,
    /// The channel accepted (`true`) or finally refused (`false`) the message it waits for.
    Delivery(bool),
}

/// One unit of work: from `run.node` onwards until the run waits or ends.
pub fn advance(graph: &Graph, run: &Run, input: &Input<'_>, env: &Env) -> Turn {
    Walk::new(graph, run, env).walk(input)
}

struct Walk<'a> {
    graph: &'a Graph,
    run: &'a Run,
    step: Step<'a>,
    path: Vec<Visit>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph, run: &'a Run, env: &'a Env) -> Self {
        Self { graph, run, step: Step::new(run, env), path: Vec::new() }
    }

    fn walk(mut self, input: &Input<'_>) -> Turn {
        if self.run.units >= UNITS_MAX {
            return self.fail("unit_limit");
        }
        let mut at = self.run.node.clone();
        let Some(node) = self.graph.node(&at) else { return self.fail("missing_node") };
        let mut next = match input {
            Input::Start => Next::exit("next"),
            other => node.kind.resume(&mut self.step, other),
        };
        loop {
            let exit = match &next {
                Next::Exit(exit) => Some(exit.clone()),
                Next::Goto(_) | Next::Wait(_) | Next::End { .. } => None,
            };
            self.visit(&at, exit);
            let target = match next {
                Next::Exit(exit) => match self.graph.target(&at, &exit) {
                    Some(target) => target.clone(),
                    None => return self.rest(Rest::Ended { outcome: Outcome::Completed, detail: None }),
                },
                Next::Goto(target) => target,
                Next::Wait(wait) => return self.rest(Rest::Waiting { node: at, wait }),
                Next::End { outcome, detail } => return self.rest(Rest::Ended { outcome, detail }),
            };
            if self.path.len() > NODES_PER_UNIT_MAX {
                return self.fail("step_limit");
            }
            let Some(node) = self.graph.node(&target) else { return self.fail("missing_node") };
            at = target;
            next = node.kind.enter(&mut self.step);
        }
    }

    fn visit(&mut self, at: &NodeId, exit: Option<String>) {
        let kind = self.graph.node(at).map_or_else(String::new, |node| node.kind_name.clone());
        self.path.push(Visit { node: at.clone(), kind, exit });
    }

    fn fail(self, reason: &str) -> Turn {
        self.rest(Rest::Ended { outcome: Outcome::Failed, detail: Some(reason.to_owned()) })
    }

    fn rest(self, rest: Rest) -> Turn {
        let (actions, changed, warnings): (Vec<Action>, Variables, Vec<String>) = self.step.into_parts();
        Turn { path: self.path, actions, changed, warnings, rest }
    }
}
