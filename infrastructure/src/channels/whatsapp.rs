//! WhatsApp through Meta's Cloud API: webhooks in, messages out, errors classed.

pub mod errors;
pub mod send;
pub mod templates;
pub mod webhook;

mod body;
mod change;
mod message;
mod sender;
mod template_news;
mod wire;

#[cfg(test)]
mod payload_tests;
