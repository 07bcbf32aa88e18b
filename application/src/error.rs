//! Why a use case refuses, in the kinds every caller understands.

use std::time::Duration;

use domain::access::staff::StaffError;
use domain::appointment::error::AppointmentError;
use domain::conversation::error::ConversationError;
use domain::flow::error::FlowError;
use domain::flow::validation::Problem;
use domain::lead::error::LeadError;
use domain::reason;
use domain::shared::reason::Reason;
use domain::task::TaskError;
use domain::template::error::TemplateError;
use domain::template_group::error::TemplateGroupError;

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
    /// There is no such template, or group of them.
    #[error("there is no such template or template group")]
    TemplateUnknown,
    /// Who asks has to verify their e-mail address first.
    #[error("verify your e-mail address first: send the code you got to /api/auth/verify-code")]
    Unverified,
    /// A code that proves nothing. Why not is nobody's business.
    #[error("the code is wrong, or no longer good; ask for a new one")]
    CodeInvalid,
    /// Too many of this kind.
    #[error("too many requests; try again in {} s", wait.as_secs_f64().ceil())]
    TooMany {
        /// How long until the next one is welcome.
        wait: Duration,
    },
    /// Too much at once.
    #[error("{message}")]
    Limited {
        /// In words.
        message: String,
        /// Seconds until it may be tried again.
        wait_sec: u64,
    },
    /// The operator did not set up what it takes.
    #[error("{message}")]
    NotConfigured {
        /// A stable word.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// A provider said no, or nothing.
    #[error("{message}")]
    Upstream {
        /// A stable word.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// Try again later; nothing was stored.
    #[error("the database cannot be reached; try again")]
    Unavailable,
    /// Try again later: somebody else's service does not answer. Nothing was stored.
    #[error("{0} cannot be reached; try again")]
    ProviderUnavailable(&'static str),
    /// Our fault; the source is logged, never sent.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    /// A wrong request, in words.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), problems: Vec::new() }
    }

    /// A wrong field, with the reason for whoever reads another language.
    pub fn field(field: &str, reason: Reason) -> Self {
        Self::Invalid { message: format!("`{field}` {reason}"), problems: vec![Problem::of_field(field, reason)] }
    }

    /// A cursor that no page ended with.
    pub fn not_our_cursor() -> Self {
        Self::field("cursor", reason!("not_our_cursor", "is none of ours"))
    }

    /// Our fault.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The request took effect before, and nobody knows its answer any more.
    pub fn outcome_unknown() -> Self {
        Self::conflict(
            OUTCOME_UNKNOWN,
            &"the request took effect and its answer was lost; read the resource to see how it stands",
        )
    }

    fn contact_erased() -> Self {
        Self::conflict("contact_erased", &"the contact was erased: nothing more happens here")
    }

    /// A contradiction to what is so by now.
    pub fn conflict(code: &'static str, error: &impl std::fmt::Display) -> Self {
        Self::Conflict { code, message: error.to_string() }
    }
}

/// How long a text may be.
pub(crate) fn length(min: usize, max: usize) -> Reason {
    reason!("length_between", "has {min} to {max} characters", min, max)
}

fn too_long(max: usize) -> Reason {
    reason!("too_long", "has at most {max} characters", max)
}

/// Why a text is no address.
pub(crate) fn not_an_email(email: &str) -> Reason {
    reason!("not_an_email", "`{email}` is not an e-mail address", email)
}

/// What use cases return.
pub type AppResult<T> = Result<T, AppError>;

impl From<FlowError> for AppError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::NotFound => Self::NotFound("flow"),
            FlowError::Exists => Self::conflict("flow_exists", &error),
            FlowError::Name => Self::field("name", length(1, domain::flow::error::NAME_CHARS_MAX)),
            FlowError::Description => Self::field("description", too_long(domain::flow::error::DESCRIPTION_CHARS_MAX)),
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
            LeadError::Status => Self::field("status", reason!("lead_status", "is 1 to 40 of a-z, 0-9, `_` and `-`")),
            LeadError::Name => Self::field("name", too_long(200)),
            LeadError::Email(email) => Self::field("email", not_an_email(&email)),
            LeadError::Fields => {
                Self::field("fields", reason!("lead_fields", "are at most 100 of at most 640 characters each"))
            }
            LeadError::Tags => Self::field("tags", reason!("lead_tags", "are at most 50 of 1 to 60 characters each")),
        }
    }
}

impl From<AppointmentError> for AppError {
    fn from(error: AppointmentError) -> Self {
        match error {
            AppointmentError::NotFound => Self::NotFound("appointment"),
            AppointmentError::Exists => Self::conflict("appointment_exists", &error),
            AppointmentError::ContactErased => Self::contact_erased(),
            AppointmentError::Stale(_) => Self::conflict("stale_version", &error),
            AppointmentError::Ended(_) => Self::conflict("appointment_ended", &error),
            AppointmentError::Service
            | AppointmentError::Resource
            | AppointmentError::Name
            | AppointmentError::Phone
            | AppointmentError::Email(_)
            | AppointmentError::Notes
            | AppointmentError::Reason
            | AppointmentError::Timezone(_)
            | AppointmentError::EndsBeforeItBegins
            | AppointmentError::TooLong
            | AppointmentError::NoWholeMinute
            | AppointmentError::FarAway
            | AppointmentError::Buffer => Self::invalid(error.to_string()),
        }
    }
}

impl From<StaffError> for AppError {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::NotHeld(_) | StaffError::Above(_) | StaffError::OwnRights => Self::Forbidden(error.to_string()),
            StaffError::Oneself => Self::conflict("oneself", &error),
        }
    }
}

impl From<TaskError> for AppError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::NotTheirs => Self::Forbidden(error.to_string()),
            TaskError::Title => Self::field("title", length(1, domain::task::TITLE_MAX)),
            TaskError::Notes => Self::field("notes", too_long(domain::task::NOTES_MAX)),
            TaskError::Comment => Self::field("comment", length(1, domain::task::COMMENT_MAX)),
            TaskError::Team => {
                let words = reason!(
                    "team_name",
                    "has 1 to {max} characters, and none at its ends that is a space",
                    max = domain::task::TEAM_MAX
                );
                Self::field("team", words)
            }
            TaskError::Comments => Self::conflict("too_many_comments", &error),
        }
    }
}

impl From<TemplateError> for AppError {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::NotFound => Self::NotFound("template"),
            TemplateError::Invalid(problems) => {
                Self::Invalid { message: format!("the template has {} problem(s)", problems.len()), problems }
            }
            TemplateError::Exists(_) => Self::conflict("template_exists", &error),
            TemplateError::BeingSubmitted => Self::conflict("template_being_submitted", &error),
            TemplateError::NameBlocked(_) => Self::conflict("template_name_blocked", &error),
            TemplateError::Disabled => Self::conflict("template_disabled", &error),
        }
    }
}

impl From<TemplateGroupError> for AppError {
    fn from(error: TemplateGroupError) -> Self {
        match error {
            TemplateGroupError::NotFound => Self::NotFound("template group"),
            TemplateGroupError::Exists => Self::conflict("template_group_exists", &error),
            TemplateGroupError::Name => Self::field("name", length(1, domain::template_group::error::NAME_CHARS_MAX)),
            TemplateGroupError::Description => {
                Self::field("description", too_long(domain::template_group::error::DESCRIPTION_CHARS_MAX))
            }
            TemplateGroupError::TooMany => {
                let reason =
                    reason!("items_max", "has at most {max} items", max = domain::template_group::error::MEMBERS_MAX);
                Self::field("templates", reason)
            }
            TemplateGroupError::Twice(id) => {
                Self::field("templates", reason!("used_twice", "`{id}` is used twice", id))
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
            ConversationError::MessageForgotten => Self::conflict("message_forgotten", &error),
            ConversationError::MessageNotFailed(_) => Self::conflict("message_not_failed", &error),
            ConversationError::MessageRetriedMeanwhile => Self::conflict("message_retried", &error),
            ConversationError::TemplateUnavailable(_) => Self::conflict("template_unavailable", &error),
            ConversationError::GraphNeeded { .. } | ConversationError::TemplateNeeded(_) => Self::internal(error),
        }
    }
}

impl<E: Into<AppError> + std::error::Error> From<CommandError<E>> for AppError {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::Rule(rule) => rule.into(),
            CommandError::ContactErased => Self::contact_erased(),
            CommandError::AlreadyDone => Self::outcome_unknown(),
            CommandError::LeaseLost => Self::conflict("lease_lost", &"somebody else took this work over"),
            CommandError::Occupied => Self::conflict("slot_taken", &"the resource is taken at that time"),
            CommandError::Contended => Self::conflict("contended", &"too many changes at once; try again"),
            CommandError::Unavailable => Self::Unavailable,
            CommandError::Internal(source) => Self::Internal(source),
        }
    }
}
