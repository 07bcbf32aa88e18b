//! The rules of FlowBot: aggregates decide, events record, the flow engine walks.
//!
//! Invariants: nothing here reads a clock, draws a random number or does IO. Time and ids come in with
//! the command; what the outside answered comes back as a command and is recorded as an event.

#[macro_use]
mod macros;

pub mod access;
pub mod allowance;
pub mod appointment;
pub mod conversation;
pub mod decide;
pub mod flow;
pub mod lead;
pub mod personal;
pub mod shared;
pub mod task;
pub mod template;
pub mod template_group;
pub mod upcast;
