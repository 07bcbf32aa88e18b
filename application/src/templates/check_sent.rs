//! Whether customers were sent a template a short while ago.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use uuid::Uuid;

use crate::actor::Session;
use crate::error::AppResult;
use crate::templates::care::TemplateCare;
use crate::time::Stamp;

/// Phones of a question at most.
pub const PHONES_MAX: usize = 10_000;
/// Hours that are looked back when nobody says.
pub const HOURS_DEFAULT: u32 = 24;
/// Hours that can be looked back: 90 days.
pub const HOURS_MAX: u32 = 2_160;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentQuestion {
    /// Whom.
    pub phones: Vec<Phone>,
    /// Which template; any when absent.
    pub template_name: Option<String>,
    /// How far back.
    pub hours: u32,
}

/// The template that was sent to a phone last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LastTemplate {
    /// The template's name.
    pub template_name: String,
    /// Its language.
    pub language: Option<String>,
    /// The message.
    pub message_id: Uuid,
    /// The conversation.
    pub conversation_id: Uuid,
    /// Where the message stands: `queued`, `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// When it was queued.
    pub at: Stamp,
}

/// Whether a phone was sent a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SentAnswer {
    /// The phone.
    pub phone: String,
    /// Whether one was queued to it within these hours and did not fail.
    pub sent: bool,
    /// The newest one that did not fail; the newest that failed where all did.
    pub last: Option<LastTemplate>,
}

/// What is known of all phones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SentReport {
    /// Hours that were looked back.
    pub hours: u32,
    /// From when on.
    pub since: Stamp,
    /// Phones that were sent one.
    pub sent_count: u32,
    /// Phones that were not.
    pub not_sent_count: u32,
    /// Each phone once, in the order they were asked for.
    pub results: Vec<SentAnswer>,
}

/// Finds templates among messages.
#[async_trait]
pub trait SentTemplates: Send + Sync {
    /// The newest template to each of these phones since then, those that did not fail first.
    async fn newest(
        &self,
        tenant: TenantId,
        phones: &[&str],
        template_name: Option<&str>,
        since: DateTime<Utc>,
    ) -> AppResult<HashMap<String, LastTemplate>>;
}

impl TemplateCare {
    /// Whether these phones were sent a template.
    ///
    /// # Errors
    /// The messages cannot be read.
    pub async fn check_sent(&self, session: &Session, question: SentQuestion) -> AppResult<SentReport> {
        let since = self.clock.now() - TimeDelta::hours(i64::from(question.hours));
        let mut seen = HashSet::new();
        let phones: Vec<&str> = question.phones.iter().map(Phone::as_str).filter(|phone| seen.insert(*phone)).collect();
        let mut found = match phones.is_empty() {
            true => HashMap::new(),
            false => self.sent.newest(session.tenant, &phones, question.template_name.as_deref(), since).await?,
        };
        let answer = |phone: &&str| {
            let last = found.remove(*phone);
            let sent = last.as_ref().is_some_and(|last| last.status != "failed");
            SentAnswer { phone: (*phone).to_owned(), sent, last }
        };
        let results: Vec<SentAnswer> = phones.iter().map(answer).collect();
        let count = |sent: bool| u32::try_from(results.iter().filter(|it| it.sent == sent).count()).unwrap_or(u32::MAX);
        Ok(SentReport {
            hours: question.hours,
            since: Stamp(since),
            sent_count: count(true),
            not_sent_count: count(false),
            results,
        })
    }
}
