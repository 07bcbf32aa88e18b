//! What administrators do.

pub mod projections;
pub mod signing_keys;
pub mod users;
