//! The lines an account sends on, and their secrets.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use domain::shared::provider_error::ProviderError;
use serde::{Deserialize, Serialize};

use crate::actor::Session;
use crate::channels::Line;
use crate::error::{AppError, AppResult};
use crate::time::Stamp;

/// A WhatsApp line, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LineView {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp Business Account it belongs to.
    pub waba_id: String,
    /// The number as people see it.
    pub display_phone_number: String,
    /// Whether an access token is kept. The token itself is never shown.
    pub has_access_token: bool,
    /// Its last four characters.
    pub access_token_last4: String,
    /// Whether the line has an app secret of its own for webhook signatures.
    pub has_app_secret: bool,
    /// Whether it has a verify token of its own.
    pub has_verify_token: bool,
    /// Whether it is the line used when none is named.
    pub is_primary: bool,
    /// Whether the number is also used in the WhatsApp Business app.
    pub coexistence: bool,
    /// Messages a second it may send.
    pub messages_per_second: u32,
    /// Whether Meta's pair limit is kept: one message in six seconds to one customer, 45 at once.
    pub pair_limit: bool,
    /// Why it sends nothing at the moment.
    pub stopped_reason: Option<String>,
    /// When it was last changed.
    pub updated_at: Stamp,
}

/// A line as it is saved.
#[derive(Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Meta's id of the number: digits.
    pub phone_number_id: String,
    /// The WhatsApp Business Account: digits.
    pub waba_id: String,
    /// The access token; absent keeps the one that is there.
    pub access_token: Option<String>,
    /// The number as people see it.
    pub display_phone_number: String,
    /// An app secret of its own.
    pub app_secret: Option<String>,
    /// A verify token of its own.
    pub verify_token: Option<String>,
    /// The line to use when none is named; the first line always is.
    pub is_primary: bool,
    /// Whether the number is also used in the WhatsApp Business app.
    pub coexistence: bool,
    /// 1 to 1 000; by default 80, 20 in coexistence (Meta, throughput), 1 000 in the sandbox.
    pub messages_per_second: Option<u32>,
    /// True but for stand-ins that have no pair limit.
    pub pair_limit: bool,
}

/// Keeps lines; secrets sealed, every change with an audit entry.
#[async_trait]
pub trait LineStore: Send + Sync {
    /// The account's lines, the primary one first.
    async fn list(&self, tenant: TenantId) -> AppResult<Vec<LineView>>;
    /// Saves a line. One that belongs to another account is a conflict. Lifts a stop or a pause, and closes its incident.
    async fn save(&self, session: &Session, line: &NewLine, messages_per_second: u32) -> AppResult<LineView>;
    /// A line with its token opened, unless it is stopped.
    async fn open(&self, phone_number_id: &str) -> AppResult<Option<Line>>;
    /// The secret that signs webhooks of a line: its own, else `None` for the app's.
    async fn app_secret(&self, phone_number_id: &str) -> AppResult<Option<String>>;
    /// The lines of these WhatsApp Business Accounts, whoever has them.
    async fn of_business_accounts(&self, waba_ids: &[String]) -> AppResult<Vec<String>>;
    /// Whether any line has this verify token.
    async fn has_verify_token(&self, token: &str) -> AppResult<bool>;
}

/// Lines that send nothing for a while; what waits for them stays in the queue.
#[async_trait]
pub trait LineStops: Send + Sync {
    /// The line's account may not send: nothing goes out until a person acts. However many messages meet the error,
    /// one incident a line is open. `seen_at` is when the channel said so: a line that was resumed or saved since
    /// goes on.
    async fn stop(&self, phone_number_id: &str, error: &ProviderError, seen_at: DateTime<Utc>) -> AppResult<()>;
    /// A person holds a line of the account. One that is stopped already stays as it is.
    async fn pause(&self, session: &Session, phone_number_id: &str) -> AppResult<()>;
    /// A person lets a line go on, and closes its incident.
    async fn resume(&self, session: &Session, phone_number_id: &str) -> AppResult<()>;
}

/// The lines of accounts.
pub struct Lines {
    /// Where they are kept.
    pub store: Arc<dyn LineStore>,
    /// Messages a second of a line that does not say.
    pub default_rate: u32,
}

/// Messages a second in coexistence (Meta, throughput).
pub const COEXISTENCE_RATE: u32 = 20;
/// Messages a second of an ordinary line (Meta, throughput).
pub const LINE_RATE: u32 = 80;
/// Messages a second at most (Meta, throughput).
pub const LINE_RATE_MAX: u32 = 1_000;

impl Lines {
    /// The account's lines.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list(&self, session: &Session) -> AppResult<Vec<LineView>> {
        self.store.list(session.tenant).await
    }

    /// Saves a line.
    ///
    /// # Errors
    /// A field breaks a bound, or the line belongs to another account.
    pub async fn save(&self, session: &Session, line: NewLine) -> AppResult<LineView> {
        let id_like = |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !id_like(&line.phone_number_id) || !id_like(&line.waba_id) {
            return Err(AppError::invalid("phoneNumberId and wabaId are Meta's ids: 1 to 32 digits"));
        }
        if line
            .access_token
            .as_deref()
            .is_some_and(|token| token.is_empty() || token.len() > 2_000 || !token.is_ascii())
        {
            return Err(AppError::invalid("accessToken has 1 to 2000 ASCII characters"));
        }
        let default = if line.coexistence { COEXISTENCE_RATE.min(self.default_rate) } else { self.default_rate };
        let rate = line.messages_per_second.unwrap_or(default);
        if !(1..=LINE_RATE_MAX).contains(&rate) {
            return Err(AppError::invalid("messagesPerSecond is 1 to 1000"));
        }
        self.store.save(session, &line, rate).await
    }
}
