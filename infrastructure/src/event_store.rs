//! The log on Postgres: appends in one statement, loads that snapshots cannot falsify, reads in one order.

pub mod append;
pub mod append_sql;
pub mod claims;
pub mod commands;
pub mod documents;
pub mod generations;
pub mod guard;
pub mod history;
pub mod keys;
pub mod live;
pub mod load;
pub mod log_reader;
pub mod past;
pub mod projector;
pub mod rebuild;
pub mod sealed;
pub mod sent_messages;
pub mod store;
pub mod waiter;
