//! Read models are folds of the log: the same whatever the batches, the runners, the restarts.

mod faults;
mod folds;
pub mod history;
mod rebuilds;
