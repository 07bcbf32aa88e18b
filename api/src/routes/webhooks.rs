//! What other systems call.

pub mod flow_credentials;
pub mod flow_trigger;
pub mod outbound;
pub mod payload;
pub mod signature;
pub mod whatsapp;
