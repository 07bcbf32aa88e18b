//! WhatsApp through Meta's Cloud API: webhooks in, messages out, errors classed.

pub mod errors;
pub mod send;
pub mod webhook;

mod body;
mod change;
mod message;
mod sender;
mod wire;

#[cfg(test)]
mod payload_tests;
