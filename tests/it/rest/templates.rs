//! Templates: written, submitted, followed, looked at, approved, deleted, bundled.

mod approving;
mod collected;
mod following;
mod grouping;
mod looking;
mod submitting;
