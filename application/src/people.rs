//! The people of an account: who works in it, and what they ask of each other.

pub mod employees;
pub mod tasks;

use std::sync::Arc;

use crate::identity::ports::Passwords;
use crate::people::employees::Employees;
use crate::people::tasks::Tasks;
use crate::time::{Clock, NewId};

/// The people of accounts.
pub struct People {
    /// Who works there.
    pub employees: Arc<dyn Employees>,
    /// What is to be done.
    pub tasks: Arc<dyn Tasks>,
    /// Password hashes.
    pub passwords: Arc<dyn Passwords>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}
