//! Templates: written, submitted, followed, looked at, approved, deleted, bundled, sent, cared for.

mod approving;
mod archiving;
mod auditing;
mod batching;
mod broadcast;
pub mod bulk;
mod caring;
mod checking;
mod collected;
mod following;
mod grouping;
mod looking;
mod migrating;
pub mod sending;
mod submitting;
mod varying;
