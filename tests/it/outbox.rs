//! Messages out, against a stand-in for Graph that a test can make slow, refuse, or die.

mod classes;
mod doubt;
mod handoff;
mod incidents;
mod lanes;
pub mod stage;
