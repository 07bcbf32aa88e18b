//! Templates at Meta: submitted, listed, deleted, their samples uploaded. Everything is kept in memory.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::meta_check::Refusal;
use super::meta_template_check;

/// Templates an account may submit in an hour.
const CREATIONS_MAX: usize = 100;
/// How long the name of a template that was approved stays blocked.
const BLOCK_DAYS: i64 = 30;
/// Templates of a page when nobody says.
const PAGE: usize = 25;

/// A template as Meta keeps it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub id: String,
    pub name: String,
    pub language: String,
    pub category: String,
    pub status: String,
    pub quality: String,
    pub rejected_reason: String,
    pub components: Value,
    pub was_approved: bool,
}

impl Kept {
    fn row(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "language": self.language, "status": self.status,
                "category": self.category, "components": self.components, "rejected_reason": self.rejected_reason,
                "quality_score": { "score": self.quality } })
    }
}

/// What Meta keeps of a WhatsApp Business Account.
#[derive(Debug, Default)]
struct Account {
    templates: Vec<Kept>,
    blocked: HashMap<String, DateTime<Utc>>,
    creations: Vec<DateTime<Utc>>,
    lists: u64,
    usage_percent: Option<u64>,
}

/// All WhatsApp Business Accounts.
#[derive(Debug, Default)]
pub(super) struct Templates {
    accounts: HashMap<String, Account>,
    uploads: HashMap<String, usize>,
    last_id: u64,
}

/// Which part of a list is wanted.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Wanted {
    name: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Templates {
    /// Takes a template for review, or refuses it as Meta does.
    pub(super) fn create(&mut self, waba: &str, body: &[u8], now: DateTime<Utc>) -> Result<Value, Refusal> {
        let draft = meta_template_check::check(body)?;
        let account = self.accounts.entry(waba.to_owned()).or_default();
        account.creations.retain(|at| now - *at < TimeDelta::hours(1));
        if account.creations.len() >= CREATIONS_MAX {
            return Err(Refusal::new(80_007, "too many templates in an hour"));
        }
        if account.blocked.get(&draft.name).is_some_and(|until| *until > now) {
            return Err(Refusal::sub(100, 2_388_023, "The message template is being deleted"));
        }
        if account.templates.iter().any(|it| it.name == draft.name && it.language == draft.language) {
            return Err(Refusal::sub(100, 2_388_024, "Content in This Language Already Exists"));
        }
        account.creations.push(now);
        self.last_id += 1;
        let kept = Kept {
            id: (1_000_000_000_000_000 + self.last_id).to_string(),
            status: "PENDING".to_owned(),
            quality: "UNKNOWN".to_owned(),
            rejected_reason: "NONE".to_owned(),
            was_approved: false,
            name: draft.name,
            language: draft.language,
            category: draft.category,
            components: draft.components,
        };
        let answer = json!({ "id": kept.id, "status": kept.status, "category": kept.category });
        account.templates.push(kept);
        Ok(answer)
    }

    /// The code a message with this template is refused with, where it is known and may not be sent: paused, disabled, or
    /// not there as far as sending goes.
    pub(super) fn refusal(&self, name: &str, language: &str) -> Option<i64> {
        let all = self.accounts.values().flat_map(|account| &account.templates);
        let mut same = all.filter(|it| it.name == name && it.language == language).peekable();
        same.peek()?;
        if same.clone().any(|it| matches!(it.status.as_str(), "APPROVED" | "FLAGGED" | "REINSTATED")) {
            return None;
        }
        same.next().map(|it| match it.status.as_str() {
            "PAUSED" => 132_015,
            "DISABLED" => 132_016,
            _ => 132_001,
        })
    }

    /// A page of the list.
    pub(super) fn list(&mut self, waba: &str, wanted: &Wanted) -> Value {
        let account = self.accounts.entry(waba.to_owned()).or_default();
        account.lists += 1;
        let named = |it: &&Kept| wanted.name.as_ref().is_none_or(|name| it.name.contains(name.as_str()));
        let all: Vec<&Kept> = account.templates.iter().filter(named).collect();
        let from = wanted.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(0_usize);
        let to = from.saturating_add(wanted.limit.unwrap_or(PAGE).clamp(1, 250)).min(all.len());
        let rows: Vec<Value> = all.get(from..to).unwrap_or_default().iter().map(|it| it.row()).collect();
        let mut paging = json!({ "cursors": { "before": from.to_string(), "after": to.to_string() } });
        if to < all.len() {
            paging["next"] = json!(format!("/{waba}/message_templates?after={to}"));
        }
        json!({ "data": rows, "paging": paging })
    }

    /// Deletes a name, or one template of that name.
    pub(super) fn delete(
        &mut self,
        waba: &str,
        name: &str,
        id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let account = self.accounts.entry(waba.to_owned()).or_default();
        let wanted = |it: &Kept| it.name == name && id.is_none_or(|id| it.id == id);
        if !account.templates.iter().any(wanted) {
            return Err(Refusal::sub(100, 2_593_002, "Message Template Not Found"));
        }
        if account.templates.iter().any(|it| wanted(it) && it.status == "DISABLED") {
            return Err(Refusal::new(100, "a disabled template cannot be deleted"));
        }
        if account.templates.iter().any(|it| wanted(it) && it.was_approved) {
            account.blocked.insert(name.to_owned(), now + TimeDelta::days(BLOCK_DAYS));
        }
        account.templates.retain(|it| !wanted(it));
        Ok(())
    }

    /// Begins an upload of so many bytes.
    pub(super) fn begin_upload(&mut self, length: usize) -> Value {
        self.last_id += 1;
        let session = format!("upload:{}", self.last_id);
        self.uploads.insert(session.clone(), length);
        json!({ "id": session })
    }

    /// Takes the bytes of an upload.
    pub(super) fn end_upload(&mut self, session: &str, bytes: usize) -> Result<Value, Refusal> {
        match self.uploads.remove(session) {
            Some(length) if length == bytes => Ok(json!({ "h": format!("4::{session}:{bytes}") })),
            Some(_) => Err(Refusal::new(100, "the bytes are not as many as were announced")),
            None => Err(Refusal::new(100, "there is no such upload")),
        }
    }

    /// The template, and the id of its account when it is in that one.
    pub(super) fn find(
        &mut self,
        waba: Option<&str>,
        name: &str,
        language: Option<&str>,
    ) -> Option<(String, &mut Kept)> {
        let accounts = self.accounts.iter_mut().filter(|(id, _)| waba.is_none_or(|waba| waba == id.as_str()));
        accounts
            .flat_map(|(id, account)| account.templates.iter_mut().map(move |kept| (id.clone(), kept)))
            .find(|(_, kept)| kept.name == name && language.is_none_or(|language| language == kept.language))
    }

    /// Puts a template there that nobody submitted here, as the account's people do at Meta.
    pub(super) fn put(&mut self, waba: &str, row: &Value) {
        self.last_id += 1;
        let text = |name: &str, usual: &str| row[name].as_str().unwrap_or(usual).to_owned();
        let kept = Kept {
            id: (1_000_000_000_000_000 + self.last_id).to_string(),
            name: text("name", "made_elsewhere"),
            language: text("language", "en_US"),
            category: text("category", "UTILITY"),
            status: text("status", "APPROVED"),
            quality: text("quality", "UNKNOWN"),
            rejected_reason: text("rejectedReason", "NONE"),
            components: row.get("components").cloned().unwrap_or_else(|| json!([{ "type": "BODY", "text": "Hello" }])),
            was_approved: true,
        };
        let account = self.accounts.entry(waba.to_owned()).or_default();
        account.templates.retain(|it| it.name != kept.name || it.language != kept.language);
        account.templates.push(kept);
    }

    /// How much of its quota an account is told to have used; nothing is told when there is none.
    pub(super) fn set_usage(&mut self, waba: &str, percent: Option<u64>) {
        self.accounts.entry(waba.to_owned()).or_default().usage_percent = percent;
    }

    /// What `X-Business-Use-Case-Usage` says of an account.
    pub(super) fn usage(&self, waba: &str) -> Option<String> {
        let percent = self.accounts.get(waba)?.usage_percent?;
        let usage = json!({ waba: [{ "type": "whatsapp", "call_count": percent, "total_cputime": 1, "total_time": 1,
                                     "estimated_time_to_regain_access": 0 }] });
        Some(usage.to_string())
    }

    /// What Meta has, and how often it was asked for the list.
    pub(super) fn view(&self) -> Value {
        let account = |(waba, account): (&String, &Account)| {
            let templates: Vec<Value> = account.templates.iter().map(Kept::row).collect();
            json!({ "wabaId": waba, "lists": account.lists, "templates": templates })
        };
        self.accounts.iter().map(account).collect()
    }
}
