//! Templates: written, submitted, followed, approved, deleted, bundled.

mod approving;
mod collected;
mod following;
mod grouping;
mod submitting;
