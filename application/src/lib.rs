//! FlowBot's use cases and ports.

pub mod channels;
pub mod time;
