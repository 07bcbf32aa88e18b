//! The operations, by group.

pub mod admin;
pub mod answers;
pub mod audit;
pub mod auth;
pub mod body;
pub mod calendar;
pub mod contacts;
pub mod conversations;
pub mod flows;
pub mod history;
pub mod leads;
pub mod ndjson;
pub mod paths;
pub mod settings;
pub mod templates;
pub mod webhooks;

use poem_openapi::Tags;

/// Groups of operations.
#[derive(Tags)]
pub enum Group {
    /// Register, verify, sign in, sign out, end sessions, and exchange API credentials for a token.
    #[oai(rename = "Auth & Identity")]
    Auth,
    /// Graphs people edit, versions that run, and the switch between them.
    Flows,
    /// What customers and the account said to each other, who handles it, and replies by people.
    Conversations,
    /// Customers of tomorrow: who they are and where they stand.
    Leads,
    /// When customers come, what for, and what became of it.
    #[oai(rename = "Calendar & Booking")]
    Calendar,
    /// What may be sent at any time, once Meta agreed to it: written, submitted, followed, bundled in groups.
    #[oai(rename = "Templates & Messaging")]
    Templates,
    /// Lines the account sends on, and its API credentials.
    Settings,
    /// People, what they may do, and what they ask each other to do; the installation's projections.
    Admin,
    /// What happened, as it was recorded; proof that the log is as it was, and exports a stranger can check.
    Audit,
    /// What other systems call: Meta's webhook, and triggers that start flows; and how deliveries stand.
    Webhooks,
}

/// Every operation. The order is the document's.
pub type Operations = (
    (
        auth::session::SignIns,
        auth::sessions::SessionsApi,
        auth::social::SocialApi,
        auth::api_token::ApiTokens,
        auth::registration::Registrations,
        auth::verification::Verifications,
        auth::preferences::PreferencesApi,
    ),
    (flows::FlowsApi, flows::versions::Versions, flows::what_if::WhatIfApi),
    (conversations::ConversationsApi, conversations::reply::Replies, contacts::ContactsApi),
    leads::LeadsApi,
    calendar::appointments::AppointmentsApi,
    (templates::catalogue::TemplatesApi, templates::groups::TemplateGroupsApi, templates::bulk_send::BulkSendsApi),
    (
        templates::check_sent::CheckSentApi,
        templates::controlled_batch::ControlledBatchApi,
        templates::ai_variants::AiVariantsApi,
        templates::health_actions::HealthActionsApi,
        templates::approved_audit::ApprovedAuditApi,
        templates::archive_history::ArchiveHistoryApi,
        templates::waba_migration::WabaMigrationApi,
    ),
    (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
    (
        admin::users::UsersApi,
        admin::employees::EmployeesApi,
        admin::tasks::TasksApi,
        admin::projections::ProjectionsApi,
        admin::signing_keys::SigningKeysApi,
    ),
    (history::Histories, audit::entries::AuditEntries, audit::verify::AuditVerify, audit::export::AuditExport),
    (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
    (webhooks::delivery::DeliveryMonitor, webhooks::queue_logs::QueueLogs),
    webhooks::outbound_status::OutboundStatusApi,
);

/// Every operation, to be served or documented.
pub const fn operations() -> Operations {
    (
        (
            auth::session::SignIns,
            auth::sessions::SessionsApi,
            auth::social::SocialApi,
            auth::api_token::ApiTokens,
            auth::registration::Registrations,
            auth::verification::Verifications,
            auth::preferences::PreferencesApi,
        ),
        (flows::FlowsApi, flows::versions::Versions, flows::what_if::WhatIfApi),
        (conversations::ConversationsApi, conversations::reply::Replies, contacts::ContactsApi),
        leads::LeadsApi,
        calendar::appointments::AppointmentsApi,
        (templates::catalogue::TemplatesApi, templates::groups::TemplateGroupsApi, templates::bulk_send::BulkSendsApi),
        (
            templates::check_sent::CheckSentApi,
            templates::controlled_batch::ControlledBatchApi,
            templates::ai_variants::AiVariantsApi,
            templates::health_actions::HealthActionsApi,
            templates::approved_audit::ApprovedAuditApi,
            templates::archive_history::ArchiveHistoryApi,
            templates::waba_migration::WabaMigrationApi,
        ),
        (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
        (
            admin::users::UsersApi,
            admin::employees::EmployeesApi,
            admin::tasks::TasksApi,
            admin::projections::ProjectionsApi,
            admin::signing_keys::SigningKeysApi,
        ),
        (history::Histories, audit::entries::AuditEntries, audit::verify::AuditVerify, audit::export::AuditExport),
        (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
        (webhooks::delivery::DeliveryMonitor, webhooks::queue_logs::QueueLogs),
        webhooks::outbound_status::OutboundStatusApi,
    )
}
