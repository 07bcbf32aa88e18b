//! Webhooks in: trusted, journalled, answered; then processed from the journal.

pub mod finisher;
pub mod intake;
pub mod journal;
pub mod processor;
