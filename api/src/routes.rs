//! The operations, by group.

pub mod admin;
pub mod answers;
pub mod audit;
pub mod auth;
pub mod body;
pub mod contacts;
pub mod conversations;
pub mod flows;
pub mod history;
pub mod leads;
pub mod ndjson;
pub mod paths;
pub mod settings;
pub mod webhooks;

use poem_openapi::Tags;

/// Groups of operations.
#[derive(Tags)]
pub enum Group {
    /// Register, verify, sign in, sign out, and exchange API credentials for a token.
    #[oai(rename = "Auth & Identity")]
    Auth,
    /// Graphs people edit, versions that run, and the switch between them.
    Flows,
    /// What customers and the account said to each other, who handles it, and replies by people.
    Conversations,
    /// Customers of tomorrow: who they are and where they stand.
    Leads,
    /// Lines the account sends on, and its API credentials.
    Settings,
    /// People and what they may do.
    Admin,
    /// What happened, as it was recorded; proof that the log is as it was, and exports a stranger can check.
    Audit,
    /// What other systems call: Meta's webhook, and triggers that start flows.
    Webhooks,
}

/// Every operation. The order is the document's.
pub type Operations = (
    (
        auth::session::Sessions,
        auth::api_token::ApiTokens,
        auth::registration::Registrations,
        auth::verification::Verifications,
        auth::preferences::PreferencesApi,
    ),
    (flows::FlowsApi, flows::versions::Versions, flows::what_if::WhatIfApi),
    (conversations::ConversationsApi, conversations::reply::Replies, contacts::ContactsApi),
    leads::LeadsApi,
    (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
    (admin::users::UsersApi, admin::projections::ProjectionsApi),
    (history::Histories, audit::verify::AuditVerify, audit::export::AuditExport),
    (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
);

/// Every operation, to be served or documented.
pub const fn operations() -> Operations {
    (
        (
            auth::session::Sessions,
            auth::api_token::ApiTokens,
            auth::registration::Registrations,
            auth::verification::Verifications,
            auth::preferences::PreferencesApi,
        ),
        (flows::FlowsApi, flows::versions::Versions, flows::what_if::WhatIfApi),
        (conversations::ConversationsApi, conversations::reply::Replies, contacts::ContactsApi),
        leads::LeadsApi,
        (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
        (admin::users::UsersApi, admin::projections::ProjectionsApi),
        (history::Histories, audit::verify::AuditVerify, audit::export::AuditExport),
        (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
    )
}
