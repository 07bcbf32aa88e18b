//! Puts the rooms together. The only place that names concrete adapters.

pub mod adapters;
pub mod database;
pub mod health;
pub mod listener;
pub mod logging;
pub mod server;
pub mod workers;
