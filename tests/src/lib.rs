//! What the tests stand on: one PostgreSQL a run, a database a test, the real process in this one, real HTTP.

pub mod app;
pub mod cable;
pub mod cluster;
pub mod flows;
pub mod graph;
pub mod past;
pub mod webhook;
