//! Templates: written, submitted, followed, approved, deleted, bundled, cared for.

mod approving;
mod archiving;
mod auditing;
mod batching;
mod caring;
mod checking;
mod collected;
mod following;
mod grouping;
mod migrating;
mod submitting;
mod varying;
