//! The vocabulary every aggregate speaks.

pub mod channel;
pub mod content;
pub mod delivery;
pub mod ids;
pub mod inbound;
pub mod nulls;
pub mod phone;
pub mod preferences;
pub mod provider_error;
pub mod reason;
pub mod service_window;
