//! Who asks, and what led to it: the metadata of every event.

use domain::access::{Access, Role};
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use uuid::Uuid;

use crate::idempotency;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person, or a system with a person's credentials.
    User(UserId),
    /// A customer, through a channel.
    Customer,
    /// A channel reporting on our messages.
    Channel,
    /// An outside system, by a flow's own credentials.
    Webhook,
    /// FlowBot itself: timers, processes.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Customer => f.write_str("customer"),
            Self::Channel => f.write_str("channel"),
            Self::Webhook => f.write_str("webhook"),
            Self::System => f.write_str("system"),
        }
    }
}

/// What led to a command; becomes the events' metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Who asked.
    pub actor: Actor,
    /// Shared by everything that one request or webhook led to.
    pub correlation: Uuid,
    /// The one thing that directly led here: a journal row, an event, a job.
    pub causation: Option<String>,
    /// Set when it may take effect once only; one command for each kind of aggregate.
    pub once: Option<String>,
}

/// A signed-in person with the account they act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id; what signed it is revoked by it.
    pub id: Uuid,
    /// The account.
    pub tenant: TenantId,
    /// The person.
    pub user: UserId,
    /// What they may do.
    pub access: Access,
    /// The language they chose.
    pub language: Option<Language>,
    /// Shared by everything this request leads to.
    pub correlation: Uuid,
    /// The client's key for the request, when it sent one.
    pub idempotency_key: Option<String>,
}

impl Session {
    /// Whether they administer the installation.
    pub fn is_admin(&self) -> bool {
        self.access.role == Role::Admin
    }

    /// The cause of what this person asks for.
    pub fn cause(&self) -> Cause {
        let once = self.idempotency_key.as_deref().map(|key| idempotency::mark(self.tenant, key));
        Cause { actor: Actor::User(self.user), correlation: self.correlation, causation: None, once }
    }
}
