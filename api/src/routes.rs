//! The operations, by group, and everything a request passes through on its way to them.

pub mod admin;
pub mod answers;
pub mod auth;
pub mod body;
pub mod conversations;
pub mod flows;
pub mod leads;
pub mod paths;
pub mod settings;
pub mod webhooks;

use std::sync::Arc;

use poem::middleware::CatchPanic;
use poem::web::{Html, Json};
use poem::{Endpoint, EndpointExt, Response, Route, endpoint, get, handler};
use poem_openapi::Tags;
use serde_json::{Value, json};

use crate::app::App;
use crate::middleware::allow::Methods;
use crate::middleware::body_limit::BodyLimit;
use crate::middleware::headers::secure;
use crate::middleware::observe::Observe;
use crate::middleware::panics::AnswerPanic;
use crate::middleware::uniform_errors::UniformErrors;
use crate::openapi;

/// Groups of operations.
#[derive(Tags)]
pub enum Group {
    /// Sign in, sign out, and exchange API credentials for a token.
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
    /// What other systems call: Meta's webhook, and triggers that start flows.
    Webhooks,
}

/// Every operation. The order is the document's.
pub type Operations = (
    (auth::session::Sessions, auth::api_token::ApiTokens),
    (flows::FlowsApi, flows::versions::Versions),
    (conversations::ConversationsApi, conversations::reply::Replies),
    leads::LeadsApi,
    (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
    admin::users::UsersApi,
    (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
);

/// Every operation, to be served or documented.
pub const fn operations() -> Operations {
    (
        (auth::session::Sessions, auth::api_token::ApiTokens),
        (flows::FlowsApi, flows::versions::Versions),
        (conversations::ConversationsApi, conversations::reply::Replies),
        leads::LeadsApi,
        (settings::api_access::ApiAccessApi, settings::whatsapp::WhatsappLines),
        admin::users::UsersApi,
        (webhooks::whatsapp::WhatsappWebhook, webhooks::outbound::Outbound, webhooks::flow_trigger::FlowTriggers),
    )
}

/// The whole API: the operations, their document, the reference at `/docs`, and whatever `beside` adds.
pub fn routes(app: Arc<App>, beside: Route) -> impl Endpoint<Output = Response> {
    layered(beside).data(app)
}

/// Everything but the rooms behind it.
fn layered(beside: Route) -> impl Endpoint<Output = Response> {
    let methods = Arc::new(Methods::of(&openapi::described()));
    let (document, page) = openapi::pages();
    let document =
        endpoint::make_sync(move |_| Response::builder().content_type("application/json").body(document.clone()));
    let page = endpoint::make_sync(move |_| Html(page.clone()));
    beside
        .nest("/api", openapi::service())
        .at("/openapi.json", get(document))
        .at("/docs", get(page))
        .at("/healthz", get(alive))
        .with(BodyLimit)
        .with(CatchPanic::new().with_handler(AnswerPanic))
        .with(UniformErrors(methods))
        .map(|response| async move { secure(response) })
        .with(Observe)
}

#[handler]
fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

#[cfg(test)]
mod tests;
