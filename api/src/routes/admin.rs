//! What administrators do.

pub mod projections;
pub mod users;
