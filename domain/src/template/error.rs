//! Why a template refuses.

use chrono::{DateTime, Utc};

use crate::flow::validation::Problem;

/// A rule of templates that a command breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// No such template, or no longer.
    #[error("there is no such template")]
    NotFound,
    /// Meta would refuse it.
    #[error("the template has {} problem(s)", .0.len())]
    Invalid(Vec<Problem>),
    /// The name is taken in this language.
    #[error("there is a template with this name and language already; its status is {0}")]
    Exists(String),
    /// The same template is on its way to Meta at this moment.
    #[error("this template is being submitted at this moment")]
    BeingSubmitted,
    /// A template of this name was deleted a short while ago.
    #[error("an approved template of this name was deleted; Meta blocks the name until {}", .0.format("%Y-%m-%dT%H:%M:%SZ"))]
    NameBlocked(DateTime<Utc>),
    /// Meta deletes no disabled template.
    #[error("a disabled template cannot be deleted")]
    Disabled,
}
