//! How often one may, on all nodes together: allowances, attempts to sign in that wait for their turn, and calls that
//! count once.

pub mod signed_calls;
pub mod turns;

use std::time::Duration;

use async_trait::async_trait;
use domain::allowance::Rate;

use crate::error::AppResult;

/// What is left of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often in all.
    pub limit: u32,
    /// How often from now on.
    pub remaining: u32,
    /// How long until all of it is there again, when nothing more is taken.
    pub reset: Duration,
}

/// What became of an attempt to take from an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What is left.
    pub standing: Standing,
    /// Nothing was left: how long until something is.
    pub refused: Option<Duration>,
}

/// Allowances by what they are for and whose they are. What was taken counts on every node at once.
#[async_trait]
pub trait Allowances: Send + Sync {
    /// Takes one, when one is left.
    ///
    /// # Errors
    /// It is not known what is left; nothing may be done then.
    async fn take(&self, what: &str, whose: &str, rate: Rate) -> AppResult<Taken>;
}
