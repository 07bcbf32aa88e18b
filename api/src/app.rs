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
use application::leads::Leads;
use application::limits::signed_calls::SignedCalls;
use application::limits::turns::Turns;
use application::projections::Projections;
use application::time_travel::TimeTravel;

use crate::middleware::rate_limit::Limits;

/// The rooms behind the operations.
pub struct App {
    /// People, sessions, credentials.
    pub identity: Identity,
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
    pub limits: Limits,
    /// Attempts to sign in, in their turns.
    pub turns: Turns,
    /// Calls that were signed together with a time.
    pub signed_calls: SignedCalls,
    /// Whether the session cookie is for HTTPS alone; true when the public address is.
    pub secure_cookies: bool,
}
