//! What Meta's webhooks tell of templates: one effect each, for every account that has a line in that WhatsApp Business
//! Account.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::shared::ids::{StreamId, TenantId};
use domain::template::Template;
use domain::template::command::{Identity, News, TemplateCommand};
use serde_json::Value;

use crate::actor::{Actor, Cause};
use crate::commands::{Along, CommandError, Commands, Once};
use crate::error::AppResult;
use crate::time::Clock;

/// What a webhook tells of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateNews {
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Meta's id of it.
    pub provider_id: Option<String>,
    /// What is told.
    pub news: News,
    /// When, by Meta's clock; absent when Meta does not say.
    pub told_at: Option<DateTime<Utc>>,
    /// What makes it this piece of news and no other.
    pub key: String,
    /// The element itself.
    pub element: Value,
}

/// Takes in what is told of templates.
pub struct TemplateHearing {
    /// Where commands go.
    pub commands: Arc<dyn Commands<Template>>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl TemplateHearing {
    /// Takes a piece of news in; the same one again has no effect.
    ///
    /// # Errors
    /// The database could not be reached; nothing took effect.
    pub async fn hear(&self, tenant: TenantId, told: &TemplateNews, cause: &Cause) -> AppResult<()> {
        let identity = Identity::new(tenant, &told.waba_id, &told.name, &told.language);
        let stream = StreamId::new(tenant, identity.id.0);
        let at = self.clock.now();
        let told_at = told.told_at.map_or(at, |told| crate::conversations::inbound::refined(told, at));
        // Without a time two pieces of news may look the same and be two; then the rules alone tell them apart.
        let once = told.told_at.map(|_| Once { key: format!("template:{}", told.key), reference: String::new() });
        let along = Along { once: once.into_iter().collect(), ..Along::default() };
        let (provider_id, news) = (told.provider_id.clone(), told.news.clone());
        let command = TemplateCommand::Hear { identity, provider_id, news, told_at, at };
        let cause = Cause { actor: Actor::Channel, ..cause.clone() };
        match self.commands.run(&stream, &cause, command, along).await {
            Ok(_) | Err(CommandError::AlreadyDone) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
