//! What other systems call, and how what goes out to them stands.

pub mod delivery;
pub mod flow_credentials;
pub mod flow_trigger;
pub mod outbound;
pub mod outbound_status;
pub mod payload;
pub mod queue_logs;
pub mod signature;
pub mod whatsapp;
