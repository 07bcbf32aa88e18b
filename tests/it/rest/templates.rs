//! Templates: written, submitted, followed, looked at, approved, deleted, bundled.

mod approving;
mod broadcast;
pub mod bulk;
mod collected;
mod following;
mod grouping;
mod looking;
pub mod sending;
mod submitting;
