//! Read models are folds of the log: the same whatever the batches, the runners, the restarts.

mod beside;
mod faults;
mod folds;
pub mod history;
mod kills;
mod noted;
mod pages;
mod rebuilds;
mod refolds;
mod stops;
mod together;
