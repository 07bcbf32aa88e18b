//! The customer of the demo: writes in, and looks at their phone.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};

use crate::commands::demo::Api;

/// How long the customer waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How often they look at the phone.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// A customer with a phone in the sandbox.
pub(super) struct Customer<'a> {
    api: &'a Api,
    path: String,
    line: &'a str,
    name: &'a str,
}

impl<'a> Customer<'a> {
    pub(super) fn new(api: &'a Api, phone: &str, line: &'a str, name: &'a str) -> Self {
        Self { api, path: format!("/sandbox/customers/{phone}/messages"), line, name }
    }

    /// Writes a text.
    pub(super) async fn writes(&self, text: &str) -> anyhow::Result<()> {
        let body = json!({ "phoneNumberId": self.line, "name": self.name, "text": text });
        self.api.post(&self.path, &body).await.map(drop)
    }

    /// Presses a button.
    pub(super) async fn presses(&self, id: &str, title: &str) -> anyhow::Result<()> {
        let body = json!({ "phoneNumberId": self.line, "name": self.name, "buttonId": id, "title": title });
        self.api.post(&self.path, &body).await.map(drop)
    }

    /// Waits until the newest message on the phone is the business's and says this.
    pub(super) async fn expects(&self, text: &str) -> anyhow::Result<()> {
        self.waits_until(text, |shown| {
            shown.last().is_some_and(|last| last["direction"] == "out" && last["content"].to_string().contains(text))
        })
        .await
    }

    /// Waits until FlowBot was told that everything was read.
    pub(super) async fn has_read_everything(&self) -> anyhow::Result<()> {
        self.waits_until("everything read", |shown| {
            shown.iter().filter(|it| it["direction"] == "out").all(|it| it["status"] == "read")
        })
        .await?;
        let began = Instant::now();
        loop {
            let conversations = self.api.get("/api/conversations?stats=true").await?;
            let stats = &conversations[0]["stats"];
            if stats["read"] == stats["queued"] {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("not every message was read: {stats}");
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    async fn waits_until(&self, what: &str, seen: impl Fn(&[Value]) -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let shown = self.api.get(&format!("{}?phoneNumberId={}", self.path, self.line)).await?;
            let list = shown.as_array().or_else(|| shown["messages"].as_array());
            if list.is_some_and(|list| seen(list)) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("the customer waited in vain for: {what}; the phone shows {shown}");
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}
