//! Flows: the graph, the language of its nodes, and the engine that walks it.

pub mod drawflow;
pub mod engine;
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
mod properties;
