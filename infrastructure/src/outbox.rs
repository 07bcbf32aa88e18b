//! Messages out: one in flight a conversation, in order; within the limits of line and pair; never twice
//! without saying so.

pub mod claim;
pub mod departures;
pub mod handoff;
pub mod in_doubt;
pub mod limits;
pub mod outcome;
pub mod queue_log;
pub mod worker;
