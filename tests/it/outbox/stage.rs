//! An account with an echo flow, whose answers go to the stand-in.

use api::config::Options;
use api::middleware::rate_limit::RateLimits;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tests::app::{LINE, SignedIn, TestApp, eventually};
use tests::flows;
use tests::graph::{Call, Graph};
use tests::webhook::text_message;

/// A second line of the account.
pub const OTHER_LINE: &str = "100000000000002";

pub struct Stage {
    pub app: TestApp,
    pub account: SignedIn,
    pub graph: Graph,
}

/// A row of the outbox.
#[derive(Debug)]
pub struct Waiting {
    pub state: i16,
    pub attempts: i32,
    pub error: Option<String>,
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_with(Options::default()).await
    }

    pub async fn set_with(options: Options) -> Self {
        let graph = Graph::start().await;
        let options = Options { meta_graph_url: Some(graph.url.clone()), ..options };
        let app = TestApp::start_with(options, RateLimits::lifted()).await;
        let account = app.account("dana").await;
        account.has_line_id(OTHER_LINE).await;
        account.has_line().await;
        account.has_flow("echo", &flows::echo()).await;
        Self { app, account, graph }
    }

    /// A line is that fast.
    pub async fn line_sends(&self, line: &str, per_second: u32) {
        let line = json!({ "phoneNumberId": line, "wabaId": "200000000000002", "accessToken": "sandbox-token",
                           "displayPhoneNumber": "+1 555 000 1111", "messagesPerSecond": per_second });
        self.account.post("/api/settings/whatsapp", &line).await.ok();
    }

    pub fn pool(&self) -> &PgPool {
        &self.app.database.pool
    }

    /// A customer writes; the flow answers `echo <text>`.
    pub async fn hears(&self, from: &str, text: &str) {
        self.hears_on(LINE, from, text).await;
    }

    pub async fn hears_on(&self, line: &str, from: &str, text: &str) {
        let wamid = format!("wamid.in.{from}.{text}");
        let webhook = text_message(from, &wamid, text).to_string().replace(LINE, line);
        let webhook: Value = serde_json::from_str(&webhook).expect("JSON");
        self.app.deliver(&webhook).await.ok();
    }

    /// Waits until Graph took this many messages.
    pub async fn taken(&self, many: usize) -> Vec<Call> {
        let look = async || Some(self.graph.taken()).filter(|taken| taken.len() >= many);
        eventually(&format!("{many} messages at Graph"), look).await
    }

    /// The outbox row of the message to this customer.
    pub async fn waiting(&self, to: &str) -> Option<Waiting> {
        let row = sqlx::query(
            "select state, attempts, last_error from outbox where recipient ->> 'phone' = $1 order by id limit 1",
        );
        let row = row.bind(format!("+{to}")).fetch_optional(self.pool()).await.expect("the outbox")?;
        Some(Waiting { state: row.get("state"), attempts: row.get("attempts"), error: row.get("last_error") })
    }

    /// Waits until the outbox row of this customer is so.
    pub async fn waits(&self, to: &str, so: impl Fn(&Waiting) -> bool) -> Waiting {
        eventually(&format!("the message to {to}"), async || self.waiting(to).await.filter(|it| so(it))).await
    }

    /// Makes time pass for the leases and doubts of this customer's messages.
    pub async fn time_passes(&self, to: &str) {
        let past = sqlx::query(
            "update outbox set lease_until = now() - interval '1 second' where recipient ->> 'phone' = $1 and state in (1, 3)",
        );
        past.bind(format!("+{to}")).execute(self.pool()).await.expect("the outbox");
    }

    /// Our last message to this customer, as the API shows it.
    pub async fn said(&self, to: &str) -> Value {
        let conversation = self.account.conversation_with(to).await;
        let path = format!("/api/conversations/{}", conversation["id"].as_str().expect("an id"));
        let details = self.account.get(&path).await.ok();
        let messages = details["messages"].as_array().cloned().unwrap_or_default();
        messages.into_iter().rfind(|it| it["direction"] == "outbound").unwrap_or_default()
    }

    /// Waits until our last message to this customer has this status.
    pub async fn said_is(&self, to: &str, status: &str) -> Value {
        let look = async || Some(self.said(to).await).filter(|it| it["status"] == status);
        eventually(&format!("a message to {to} that is {status}"), look).await
    }
}
