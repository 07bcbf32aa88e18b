//! The door: who signed the body, and for which lines.

use std::sync::Arc;

use application::channels::lines::LineStore;
use application::channels::{Intake, WebhookIntake};
use application::error::AppResult;
use async_trait::async_trait;

use crate::channels::whatsapp::webhook;
use crate::inbound::journal::Journal;
use crate::security::signatures::{constant_time_eq, verify_sha256_header};

/// Takes WhatsApp webhooks in.
pub struct WhatsAppIntake {
    /// Where they are kept.
    pub journal: Journal,
    /// Lines with secrets of their own.
    pub lines: Arc<dyn LineStore>,
    /// The app's secret; without one only lines with a secret of their own are heard.
    pub app_secret: Option<String>,
    /// The app's verify token.
    pub verify_token: Option<String>,
}

#[async_trait]
impl WebhookIntake for WhatsAppIntake {
    async fn handshake(&self, verify_token: &str) -> AppResult<bool> {
        let app = self.verify_token.as_deref().is_some_and(|known| constant_time_eq(verify_token, known));
        Ok(app || self.lines.has_verify_token(verify_token).await?)
    }

    async fn accept(&self, body: &[u8], signature: Option<&str>) -> Result<(), Intake> {
        let signature = signature.ok_or(Intake::BadSignature)?;
        let app_signed =
            self.app_secret.as_deref().is_some_and(|secret| verify_sha256_header(secret.as_bytes(), body, signature));
        let mut trusted = Vec::new();
        let mut genuine = app_signed;
        let mut named = webhook::named(body);
        if !named.business_accounts.is_empty() {
            // News of templates are for the lines of their business account, each by its own secret.
            let theirs = self.lines.of_business_accounts(&named.business_accounts).await;
            named.lines.extend(theirs.map_err(|_| Intake::Unavailable)?);
        }
        for line in named.lines {
            // A line with a secret of its own is heard by that secret alone.
            let own = self.lines.app_secret(&line).await.map_err(|_| Intake::Unavailable)?;
            let signed = own.map_or(app_signed, |secret| verify_sha256_header(secret.as_bytes(), body, signature));
            if signed {
                genuine = true;
                trusted.push(line);
            }
        }
        if !genuine {
            return Err(Intake::BadSignature);
        }
        self.journal.keep("whatsapp", body.to_vec(), trusted).await.map_err(|error| {
            tracing::warn!(%error, "A webhook was not journalled");
            Intake::Unavailable
        })
    }
}
