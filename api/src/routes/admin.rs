//! What administrators do.

pub mod employees;
pub mod projections;
pub mod tasks;
pub mod users;
