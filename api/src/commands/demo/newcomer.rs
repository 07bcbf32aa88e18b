//! Somebody opens an account of their own: registers, reads the code in the sandbox's mailbox, verifies.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::commands::demo::{Api, customer};

const NAME: &str = "noa";
const ADDRESS: &str = "noa@example.com";

/// Registers and verifies; the code, as it was read.
pub(super) async fn joins(api: &Api) -> anyhow::Result<String> {
    let account = json!({ "username": NAME, "password": "noa-password", "email": ADDRESS });
    post(api, "/api/auth/register", &account).await?;
    let reading = async {
        loop {
            let mails = api.get(&format!("/sandbox/mailbox?to={ADDRESS}")).await?;
            if let Some(text) = mails[0]["text"].as_str() {
                let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
                return numbers.find(|word| word.len() == 6).map(str::to_owned).context("the mail holds no code");
            }
            tokio::time::sleep(customer::GLANCE).await;
        }
    };
    let code = tokio::time::timeout(customer::PATIENCE, reading).await.context("no mail came")??;
    post(api, "/api/auth/verify-code", &json!({ "channel": "email", "address": ADDRESS, "code": code })).await?;
    Ok(code)
}

/// Without the demo's own session.
async fn post(api: &Api, path: &str, body: &Value) -> anyhow::Result<()> {
    let response = api.http.post(format!("{}{path}", api.base)).json(body).send().await?;
    let status = response.status();
    ensure!(status.is_success(), "{status}: {}", response.text().await?);
    Ok(())
}
