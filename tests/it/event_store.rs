//! The log: what the stock store gets wrong, ours gets right; appends are whole, ordered and never lost.

mod appends;
mod feed;
pub mod given;
mod nodes;
mod recipients;
mod sealing;
mod snapshots;
mod stock;
