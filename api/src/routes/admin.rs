//! What administrators do.

pub mod employees;
pub mod projections;
pub mod signing_keys;
pub mod tasks;
pub mod users;
