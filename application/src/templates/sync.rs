//! Reconciling with Meta's list: what is new, what changed, what is gone. Only what the rules see as news becomes an
//! event, so that a sync without news writes nothing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::decide::Decide as _;
use domain::shared::ids::{StreamId, TemplateId, TenantId};
use domain::template::Template;
use domain::template::command::{Identity, News, TemplateCommand};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::{Actor, Cause};
use crate::error::AppResult;
use crate::log::Position;
use crate::templates::Templates;
use crate::templates::accounts::BusinessAccount;
use crate::templates::ports::{Listed, ProviderFailure, Turn};
use crate::templates::views::TemplateDocument;
use crate::time::Stamp;

/// Pages of a listing at most; Meta lets an account have 6 000 templates.
const PAGES_MAX: usize = 100;

/// How a sync went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SyncReport {
    /// True when a business account could not be looked at: its rows are as they were last known.
    pub stale: bool,
    /// Templates Meta has that were not known here.
    pub discovered: u32,
    /// Templates Meta tells something new of.
    pub changed: u32,
    /// Templates Meta has no longer.
    pub vanished: u32,
    /// Each WhatsApp Business Account.
    pub accounts: Vec<AccountReport>,
}

/// How the sync of one WhatsApp Business Account went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct AccountReport {
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// True when it could not be looked at.
    pub stale: bool,
    /// When it was last looked at.
    pub synced_at: Option<Stamp>,
    /// Templates on Meta's list.
    pub listed: u32,
    /// Templates that were not known here.
    pub discovered: u32,
    /// Templates Meta tells something new of.
    pub changed: u32,
    /// Templates Meta has no longer.
    pub vanished: u32,
    /// Why it could not be looked at.
    pub error: Option<String>,
}

impl Templates {
    /// Reconciles every WhatsApp Business Account of an account with Meta's lists.
    ///
    /// # Errors
    /// The database. That Meta does not answer is part of the report.
    pub async fn sync(&self, tenant: TenantId, correlation: Uuid) -> AppResult<SyncReport> {
        let cause = Cause { actor: Actor::Channel, correlation, causation: Some("sync".to_owned()), once: None };
        let mut accounts = Vec::new();
        for account in self.accounts.of(tenant).await? {
            accounts.push(self.sync_account(&account, &cause).await?);
        }
        let sum = |count: fn(&AccountReport) -> u32| -> u32 { accounts.iter().map(count).sum() };
        Ok(SyncReport {
            stale: accounts.iter().any(|account| account.stale),
            discovered: sum(|account| account.discovered),
            changed: sum(|account| account.changed),
            vanished: sum(|account| account.vanished),
            accounts,
        })
    }

    async fn sync_account(&self, account: &BusinessAccount, cause: &Cause) -> AppResult<AccountReport> {
        let stale = |error: String| AccountReport {
            waba_id: account.waba_id.clone(),
            stale: true,
            error: Some(error),
            ..AccountReport::default()
        };
        match self.gate.enter(account.tenant, &account.waba_id).await? {
            Turn::Recent(report) => Ok(report),
            Turn::Nobody(why) => Ok(stale(why.to_owned())),
            Turn::Ours(turn) => {
                let began = self.clock.now();
                let report = match self.listed(account).await {
                    Ok(listed) => self.reconcile(account, listed, began, cause).await?,
                    Err(failure) => stale(words(failure)),
                };
                turn.finish(&report).await?;
                Ok(report)
            }
        }
    }

    /// The whole list.
    async fn listed(&self, account: &BusinessAccount) -> Result<Vec<Listed>, ProviderFailure> {
        let (mut all, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.provider.page(account, None, after.as_deref()).await?;
            all.extend(page.templates);
            match page.after {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
        Err(ProviderFailure::NotSent("Meta's list does not end".to_owned()))
    }

    async fn reconcile(
        &self,
        account: &BusinessAccount,
        listed: Vec<Listed>,
        began: DateTime<Utc>,
        cause: &Cause,
    ) -> AppResult<AccountReport> {
        let known = self.reader.of_account(account.tenant, &account.waba_id).await?;
        let known: HashMap<TemplateId, TemplateDocument> =
            known.into_iter().filter_map(|it| Some((it.known()?.id, it))).collect();
        let mut report = AccountReport {
            waba_id: account.waba_id.clone(),
            synced_at: Some(Stamp(began)),
            listed: u32::try_from(listed.len()).unwrap_or(u32::MAX),
            ..AccountReport::default()
        };
        let (mut seen, mut reached) = (HashSet::new(), None);
        for Listed { name, language, listing } in listed {
            let identity = Identity::new(account.tenant, &account.waba_id, &name, &language);
            let (id, now) = (identity.id, self.clock.now());
            seen.insert(id);
            let (provider_id, news) = (listing.provider_id.clone(), News::Listed(listing));
            let command = TemplateCommand::Hear { identity, provider_id, news, told_at: began, at: now };
            let before = known.get(&id);
            if let Some(position) = self.heard(account.tenant, id, before, command, cause).await? {
                reached = Some(position);
                let new = before.is_none_or(|it| it.known().is_none_or(|it| !it.is_live()));
                *(if new { &mut report.discovered } else { &mut report.changed }) += 1;
            }
        }
        for (id, document) in known.iter().filter(|(id, _)| !seen.contains(id)) {
            let command = TemplateCommand::Miss { listed_at: began, at: self.clock.now() };
            if let Some(position) = self.heard(account.tenant, *id, Some(document), command, cause).await? {
                reached = Some(position);
                report.vanished += 1;
            }
        }
        self.wait(reached).await;
        Ok(report)
    }

    /// Runs the command when the rules, on what the read model knows, see news in it.
    async fn heard(
        &self,
        tenant: TenantId,
        id: TemplateId,
        known: Option<&TemplateDocument>,
        command: TemplateCommand,
        cause: &Cause,
    ) -> AppResult<Option<Position>> {
        let blank = Template::default();
        let template = known.map_or(&blank, |document| &document.template);
        if template.decide(command.clone())?.is_empty() {
            return Ok(None);
        }
        self.run(&StreamId::new(tenant, id.0), cause, command).await
    }
}

fn words(failure: ProviderFailure) -> String {
    match failure {
        ProviderFailure::Refused { error, .. } => format!("Meta refused the list with {}: {}", error.code, error.title),
        ProviderFailure::NotSent(why) | ProviderFailure::InDoubt(why) => {
            tracing::warn!(why, "Meta's templates could not be listed");
            "Meta could not be reached".to_owned()
        }
    }
}
