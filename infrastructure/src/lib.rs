//! FlowBot's adapters.

pub mod channels;
pub mod http_client;
pub mod sandbox;
