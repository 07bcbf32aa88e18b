//! Templates: written, submitted, followed, approved, deleted, bundled.

mod approving;
mod bulk;
mod collected;
mod following;
mod grouping;
pub mod sending;
mod submitting;
