//! Why a use case refuses, in the kinds every caller understands.

use std::time::Duration;

use domain::conversation::error::ConversationError;
use domain::flow::error::FlowError;
use domain::flow::validation::Problem;
use domain::lead::error::LeadError;

use crate::commands::CommandError;

/// A request was sent again: it took effect before, and what it was answered then is not known.
pub const OUTCOME_UNKNOWN: &str = "idempotency_outcome_unknown";

/// Why a use case refuses.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The request is wrong.
    #[error("{message}")]
    Invalid {
        /// In words.
        message: String,
        /// Where there are several.
        problems: Vec<Problem>,
    },
    /// Who asks is not known.
    #[error("{0}")]
    Unauthorized(String),
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing for who asks.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It contradicts what is so by now.
    #[error("{message}")]
    Conflict {
        /// A stable word.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// Nothing but a template may be sent.
    #[error("the 24-hour window is closed: only an approved template can be sent")]
    WindowClosed,
    /// Too many of this kind.
    #[error("too many requests; try again in {} s", wait.as_secs_f64().ceil())]
    TooMany {
        /// How long until the next one is welcome.
        wait: Duration,
    },
    /// Try again later; nothing was stored.
    #[error("the database cannot be reached; try again")]
    Unavailable,
    /// Our fault; the source is logged, never sent.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    /// A wrong request, in words.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), problems: Vec::new() }
    }

    /// Our fault.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    fn contact_erased() -> Self {
        Self::conflict("contact_erased", &"the contact was erased: nothing more happens here")
    }

    fn conflict(code: &'static str, error: &impl std::fmt::Display) -> Self {
        Self::Conflict { code, message: error.to_string() }
    }
}

/// What use cases return.
pub type AppResult<T> = Result<T, AppError>;

impl From<FlowError> for AppError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotFound => Self::NotFound("flow"),
            FlowError::Exists => Self::conflict("flow_exists", &error),
            FlowError::Name | FlowError::Description => Self::invalid(error.to_string()),
            FlowError::Graph(problems) => {
                Self::Invalid { message: format!("the flow's graph has {} problem(s)", problems.len()), problems }
            }
        }
    }
}

impl From<LeadError> for AppError {
    fn from(error: LeadError) -> Self {
        match error {
            LeadError::NotFound => Self::NotFound("lead"),
            LeadError::ContactErased => Self::contact_erased(),
            LeadError::Status | LeadError::Name | LeadError::Email(_) | LeadError::Fields | LeadError::Tags => {
                Self::invalid(error.to_string())
            }
        }
    }
}

impl From<ConversationError> for AppError {
    fn from(error: ConversationError) -> Self {
        match error {
            ConversationError::NotFound => Self::NotFound("conversation"),
            ConversationError::ContactErased => Self::contact_erased(),
            ConversationError::WindowClosed => Self::WindowClosed,
            ConversationError::ClaimedByAnother(_) | ConversationError::Claimed => Self::conflict("claimed", &error),
            ConversationError::Stale(_) => Self::conflict("stale_version", &error),
            ConversationError::Closed => Self::conflict("closed", &error),
            ConversationError::GraphNeeded { .. } => Self::internal(error),
        }
    }
}

impl<E: Into<AppError> + std::error::Error> From<CommandError<E>> for AppError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Rule(rule) => rule.into(),
            CommandError::ContactErased => Self::contact_erased(),
            CommandError::AlreadyDone => Self::conflict(
                OUTCOME_UNKNOWN,
                &"the request took effect and its answer was lost; read the resource to see how it stands",
            ),
            CommandError::LeaseLost => Self::conflict("lease_lost", &"somebody else took this work over"),
            CommandError::Contended => Self::conflict("contended", &"too many changes at once; try again"),
            CommandError::Unavailable => Self::Unavailable,
            CommandError::Internal(source) => Self::Internal(source),
        }
    }
}
