//! Everything the operations need, as one handle per room.

use std::sync::Arc;

use application::audit::Proofs;
use application::channels::WebhookIntake;
use application::channels::lines::Lines;
use application::contacts::erasure::Erasure;
use application::conversations::Conversations;
use application::conversations::triggers::Triggers;
use application::flows::Flows;
use application::flows::what_if::WhatIf;
use application::history::History;
use application::idempotency::Idempotency;
use application::identity::Identity;
use application::identity::preferences::Preferences;
use application::identity::verification::Verification;
use application::leads::Leads;
use application::projections::Projections;
use application::time_travel::TimeTravel;

use crate::middleware::rate_limit::RateLimits;

/// The rooms behind the operations.
pub struct App {
    /// People, sessions, credentials.
    pub identity: Identity,
    /// New people, and proof that they can be reached.
    pub verification: Verification,
    /// What people prefer.
    pub preferences: Arc<dyn Preferences>,
    /// Flows.
    pub flows: Flows,
    /// What flows would have done.
    pub what_if: WhatIf,
    /// Conversations.
    pub conversations: Arc<Conversations>,
    /// Runs that outside systems start.
    pub triggers: Triggers,
    /// Forgets contacts.
    pub erasure: Erasure,
    /// Leads.
    pub leads: Arc<Leads>,
    /// What happened.
    pub history: History,
    /// How things stood.
    pub past: TimeTravel,
    /// Sending lines.
    pub lines: Lines,
    /// Projections, for administrators.
    pub projections: Arc<dyn Projections>,
    /// Where providers' webhooks go.
    pub webhooks: Arc<dyn WebhookIntake>,
    /// Requests that may be sent again.
    pub idempotency: Arc<dyn Idempotency>,
    /// What the seals vouch for.
    pub proofs: Arc<dyn Proofs>,
    /// How often the limited operations may be called.
    pub limits: RateLimits,
    /// Whether the session cookie is for HTTPS alone; true when the public address is.
    pub secure_cookies: bool,
}
