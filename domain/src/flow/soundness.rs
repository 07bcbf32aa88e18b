//! What the graph as a whole must be: it can start, its jumps land, its cycles wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::flow::graph::{Graph, NodeId};
use crate::flow::validation::Problem;
use crate::reason;

/// Problems that keep the flow from running.
pub fn problems(graph: &Graph) -> Vec<Problem> {
    let mut problems = Vec::new();
    if graph.triggers().next().is_none() {
        problems.push(Problem::of_flow(reason!("no_trigger", "has no trigger, so that nothing can start it")));
    }
    problems.extend(dangling_jumps(graph));
    problems.extend(endless_cycles(graph));
    problems
}

/// Nodes no run comes to.
pub fn unreachable(graph: &Graph) -> Vec<Problem> {
    let mut seen: BTreeSet<&NodeId> = graph.triggers().map(|(id, _)| id).collect();
    let mut open: Vec<&NodeId> = seen.iter().copied().collect();
    while let Some(id) = open.pop() {
        open.extend(graph.successors(id).filter(|next| seen.insert(next)));
    }
    let unseen = graph.nodes().filter(|(id, _)| !seen.contains(id));
    unseen.map(|(id, _)| Problem::of_node(&id.0, reason!("unreachable", "cannot be reached from a trigger"))).collect()
}

fn dangling_jumps(graph: &Graph) -> Vec<Problem> {
    let jumps = graph.nodes().filter_map(|(id, node)| Some((id, node.kind.jump()?)));
    let dangling = jumps.filter(|(_, target)| graph.node(target).is_none());
    dangling
        .map(|(id, target)| {
            let reason = reason!("unknown_node", "node `{node}` does not exist", node = target);
            Problem::of_node_field(&id.0, "nodeId", reason)
        })
        .collect()
}

/// Every cycle a run would walk without ever waiting, told once.
fn endless_cycles(graph: &Graph) -> Vec<Problem> {
    let mut told: BTreeSet<&NodeId> = BTreeSet::new();
    let mut problems = Vec::new();
    for (id, _) in graph.nodes().filter(|(_, node)| !node.kind.waits()) {
        if told.contains(id) {
            continue;
        }
        let Some(cycle) = cycle_through(graph, id) else { continue };
        let names: Vec<&str> = cycle.iter().chain([&id]).map(|id| id.0.as_str()).collect();
        let reason = reason!("endless_cycle", "a cycle never waits: {cycle}", cycle = names.join(" → "));
        problems.push(Problem::of_node(&id.0, reason));
        told.extend(cycle);
    }
    problems
}

/// A shortest way from a node back to itself through nodes that do not wait.
fn cycle_through<'a>(graph: &'a Graph, start: &'a NodeId) -> Option<Vec<&'a NodeId>> {
    let mut came_from: BTreeMap<&NodeId, &NodeId> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(id) = open.pop_front() {
        for next in graph.successors(id) {
            if next == start {
                return Some(way(&came_from, start, id));
            }
            let passes = graph.node(next).is_some_and(|node| !node.kind.waits());
            if passes && !came_from.contains_key(next) {
                came_from.insert(next, id);
                open.push_back(next);
            }
        }
    }
    None
}

fn way<'a>(came_from: &BTreeMap<&'a NodeId, &'a NodeId>, start: &'a NodeId, end: &'a NodeId) -> Vec<&'a NodeId> {
    let mut way = vec![end];
    let mut at = end;
    while at != start {
        let Some(before) = came_from.get(at) else { break };
        at = before;
        way.push(at);
    }
    way.reverse();
    way
}
