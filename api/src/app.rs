//! Everything the operations need, as one handle per room.

use std::sync::Arc;

use application::appointments::Appointments;
use application::audit::Proofs;
use application::audit::entries::Entries;
use application::bulk::BulkSends;
use application::channels::WebhookIntake;
use application::channels::lines::Lines;
use application::contacts::erasure::Erasure;
use application::conversations::Conversations;
use application::conversations::outbound_status::OutboundStatuses;
use application::conversations::triggers::Triggers;
use application::flows::Flows;
use application::flows::what_if::WhatIf;
use application::history::History;
use application::idempotency::Idempotency;
use application::identity::Identity;
use application::identity::preferences::Preferences;
use application::identity::signing_keys::SigningKeys;
use application::identity::social::SocialSignIn;
use application::identity::verification::Verification;
use application::leads::Leads;
use application::limits::signed_calls::SignedCalls;
use application::limits::turns::Turns;
use application::monitoring::Monitoring;
use application::people::People;
use application::projections::Projections;
use application::templates::Templates;
use application::templates::care::TemplateCare;
use application::templates::groups::TemplateGroups;
use application::time::Clock;
use application::time_travel::TimeTravel;

use crate::middleware::rate_limit::Limits;
use crate::security::site::Site;

/// The rooms behind the operations.
pub struct App {
    /// People, sessions, credentials.
    pub identity: Identity,
    /// Employees and tasks.
    pub people: People,
    /// Signing in with others' word.
    pub social: SocialSignIn,
    /// What tokens are signed with.
    pub signing_keys: Arc<dyn SigningKeys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
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
    /// Appointments.
    pub appointments: Appointments,
    /// Templates.
    pub templates: Arc<Templates>,
    /// Groups of templates.
    pub template_groups: Arc<TemplateGroups>,
    /// Care for templates.
    pub template_care: TemplateCare,
    /// What became of messages, for those who had them sent.
    pub outbound_status: OutboundStatuses,
    /// Bulk sends.
    pub bulk_sends: Arc<BulkSends>,
    /// What happened.
    pub history: History,
    /// How things stood.
    pub past: TimeTravel,
    /// How deliveries stand.
    pub monitoring: Monitoring,
    /// Sending lines.
    pub lines: Lines,
    /// Projections, for administrators.
    pub projections: Arc<dyn Projections>,
    /// Where providers' webhooks go.
    pub webhooks: Arc<dyn WebhookIntake>,
    /// Requests that may be sent again.
    pub idempotency: Arc<dyn Idempotency>,
    /// Who changed what is no event.
    pub entries: Entries,
    /// What the seals vouch for.
    pub proofs: Arc<dyn Proofs>,
    /// How often the limited operations may be called.
    pub limits: Limits,
    /// Attempts to sign in, in their turns.
    pub turns: Turns,
    /// Calls that were signed together with a time.
    pub signed_calls: SignedCalls,
    /// Where we are in browsers' eyes.
    pub site: Site,
}
