//! Submitting a template: everything that is wrong at once, then the intent, then Meta, then what Meta said.

use chrono::{DateTime, Utc};
use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::ids::{StreamId, TemplateGroupId, TenantId};
use domain::shared::provider_error::{ErrorClass, ProviderError};
use domain::template::category::{Category, NonUtility};
use domain::template::command::{Draft, Identity, News, TemplateCommand};
use domain::template::{TargetGroup, components, draft};
use domain::template_group::TemplateGroup;
use domain::template_group::error::NAME_CHARS_MAX;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::actor::{Cause, Session};
use crate::commands::Along;
use crate::error::{AppError, AppResult, length};
use crate::flows::Written;
use crate::log::Position;
use crate::templates::accounts::{BusinessAccount, no_line};
use crate::templates::ports::{About, ProviderFailure, Taken};
use crate::templates::views::TemplateView;
use crate::templates::{Templates, media};

/// A template as a client sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTemplate {
    /// Its name.
    pub name: String,
    /// Its category; UTILITY when absent.
    pub category: Option<String>,
    /// Its language.
    pub language: String,
    /// Its components, in Meta's JSON.
    pub components: Value,
    /// What is said for another category than UTILITY.
    pub non_utility: NonUtility,
    /// The group it joins.
    pub target_group_id: Option<TemplateGroupId>,
    /// The group it joins, by its name; made when there is none.
    pub target_group_name: Option<String>,
}

impl Templates {
    /// Submits a template to Meta.
    ///
    /// # Errors
    /// Something about it is wrong, its name is taken or blocked, the hour's allowance is used up, or Meta does not
    /// take it.
    pub async fn submit(&self, session: &Session, new: NewTemplate) -> AppResult<Written<TemplateView>> {
        self.submit_for(session.tenant, &session.cause(), new).await
    }

    /// As [`Templates::submit`], when whoever asked for it is not waiting any more.
    ///
    /// # Errors
    /// As there.
    pub async fn submit_for(
        &self,
        tenant: TenantId,
        cause: &Cause,
        new: NewTemplate,
    ) -> AppResult<Written<TemplateView>> {
        let account = self.accounts.of(tenant).await?.into_iter().next();
        let mut draft = self.checked(tenant, account.as_ref(), new).await?;
        let account = account.ok_or_else(no_line)?;
        let blocked = self.blocked(tenant, &draft.identity).await?;
        if let Err(wait_sec) = self.allowance.take(tenant, &account.waba_id).await? {
            let message = format!("100 templates were submitted within an hour; try again in {wait_sec} s");
            return Err(AppError::Limited { message, wait_sec });
        }
        draft.components = match media::uploaded(&*self.provider, &account, draft.components.clone()).await {
            Ok(components) => components,
            Err(failure) => {
                self.allowance.give_back(tenant, &account.waba_id).await?;
                return Err(refusal(&draft, failure));
            }
        };
        let stream = StreamId::new(tenant, draft.identity.id.0);
        let at = self.clock.now();
        let submit = TemplateCommand::Submit { draft: draft.clone(), name_blocked_until: blocked, at };
        if let Err(error) = self.commands.run(&stream, cause, submit, Along::default()).await {
            self.allowance.give_back(tenant, &account.waba_id).await?;
            return Err(error.into());
        }
        let position = self.hand_over(&account, &draft, &stream, cause).await?;
        self.read_back(&stream, position).await
    }

    /// The draft, unless something about it is wrong.
    pub(crate) async fn checked(
        &self,
        tenant: TenantId,
        account: Option<&BusinessAccount>,
        new: NewTemplate,
    ) -> AppResult<Draft> {
        let waba_id = account.map_or("", |account| account.waba_id.as_str());
        let mut draft = Draft {
            identity: Identity::new(tenant, waba_id, &new.name, &new.language),
            category: new.category.map_or(Category::Utility, Category::from),
            components: new.components,
            non_utility: new.non_utility,
            target_group: None,
        };
        let mut problems = draft::problems(&draft);
        match self.target(tenant, new.target_group_id, new.target_group_name).await? {
            Ok(target) => draft.target_group = target,
            Err(problem) => problems.push(problem),
        }
        if problems.is_empty() {
            return Ok(draft);
        }
        Err(AppError::Invalid { message: format!("the template has {} problem(s)", problems.len()), problems })
    }

    async fn target(
        &self,
        tenant: TenantId,
        id: Option<TemplateGroupId>,
        name: Option<String>,
    ) -> AppResult<Result<Option<TargetGroup>, Problem>> {
        Ok(match (id, name) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let reason = reason!("group_named_twice", "is left out when `targetGroupId` names the group");
                Err(Problem::of_field("targetGroupName", reason))
            }
            (Some(id), None) => match self.groups.get(tenant, id).await?.filter(|group| group.open().is_some()) {
                Some(_) => Ok(Some(TargetGroup { id, create_as: None })),
                None => {
                    let reason = reason!("no_such_template_group", "there is no such template group");
                    Err(Problem::of_field("targetGroupId", reason))
                }
            },
            (None, Some(name)) if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX => {
                Err(Problem::of_field("targetGroupName", length(1, NAME_CHARS_MAX)))
            }
            (None, Some(name)) => Ok(Some(match self.groups.named(tenant, &name).await? {
                Some(id) => TargetGroup { id, create_as: None },
                None => TargetGroup { id: TemplateGroup::id_for(tenant, &name), create_as: Some(name) },
            })),
        })
    }

    /// Until when the name is blocked by a deletion, in whatever language.
    async fn blocked(&self, tenant: TenantId, identity: &Identity) -> AppResult<Option<DateTime<Utc>>> {
        let named = self.reader.named(tenant, &[&identity.name]).await?;
        let same = named.iter().filter_map(|it| it.known()).filter(|it| it.waba_id == identity.waba_id);
        Ok(same.filter_map(|it| it.name_blocked_until).max())
    }

    /// Gives the template to Meta and records what Meta says.
    async fn hand_over(
        &self,
        account: &BusinessAccount,
        draft: &Draft,
        stream: &StreamId,
        cause: &Cause,
    ) -> AppResult<Option<Position>> {
        let failure = match self.provider.create(account, draft).await {
            Ok(Taken { provider_id, status, category }) => {
                let command = TemplateCommand::Accept { provider_id, status, category, at: self.clock.now() };
                return self.run(stream, cause, command).await;
            }
            Err(ProviderFailure::InDoubt(why)) => {
                tracing::warn!(why, template = draft.identity.name, "A submission is in doubt");
                return self.settle(account, draft, stream, cause).await;
            }
            Err(failure) => failure,
        };
        let error = match &failure {
            ProviderFailure::Refused { error, .. } => error.clone(),
            ProviderFailure::NotSent(why) | ProviderFailure::InDoubt(why) => not_sent(why),
        };
        let refused = self.run(stream, cause, TemplateCommand::Refuse { error, at: self.clock.now() }).await?;
        // Who is refused looks at the list next.
        self.wait(refused).await;
        self.allowance.give_back(account.tenant, &account.waba_id).await?;
        Err(refusal(draft, failure))
    }

    /// Nobody knows whether Meta took it: it is looked for. What is not found may still come; a later sync settles it.
    async fn settle(
        &self,
        account: &BusinessAccount,
        draft: &Draft,
        stream: &StreamId,
        cause: &Cause,
    ) -> AppResult<Option<Position>> {
        self.look_for(account, &draft.identity, stream, cause).await?.ok_or_else(|| AppError::Upstream {
            code: "submission_in_doubt",
            message: "Meta gave no answer, so the template may or may not have been submitted; \
                      GET /api/templates tells once it is known"
                .to_owned(),
        })
    }

    /// Looks at Meta for a template whose submission is in doubt, and takes in what is found; `None` when Meta does not
    /// show it.
    pub(crate) async fn look_for(
        &self,
        account: &BusinessAccount,
        identity: &Identity,
        stream: &StreamId,
        cause: &Cause,
    ) -> AppResult<Option<Option<Position>>> {
        let told_at = self.clock.now();
        let found = self.provider.page(account, Some(&identity.name), None).await.unwrap_or_default();
        let found = found.templates.into_iter().find(|it| it.name == identity.name && it.language == identity.language);
        let Some(found) = found else { return Ok(None) };
        let (identity, provider_id) = (identity.clone(), found.listing.provider_id.clone());
        let (news, at) = (News::Listed(found.listing), self.clock.now());
        let command = TemplateCommand::Hear { identity, provider_id, news, told_at, at };
        self.run(stream, cause, command).await.map(Some)
    }
}

fn not_sent(why: &str) -> ProviderError {
    ProviderError {
        code: -1,
        class: ErrorClass::Transient,
        title: "Meta could not be reached".to_owned(),
        details: Some(why.to_owned()),
    }
}

/// What a client is told of a failure: the field, when it is about one.
pub(crate) fn refusal(draft: &Draft, failure: ProviderFailure) -> AppError {
    let (error, about, wait_sec) = match failure {
        ProviderFailure::Refused { error, about, wait_sec } => (error, about, wait_sec),
        ProviderFailure::NotSent(_) | ProviderFailure::InDoubt(_) => return unreachable_provider(),
    };
    let words = match &error.details {
        Some(details) => format!("{}: {details}", error.title),
        None => error.title.clone(),
    };
    let field = match about {
        About::Component(kind) => components::place_of(&draft.components, kind),
        About::Components => "components".to_owned(),
        About::Name => "name".to_owned(),
        About::Quantity | About::Absence | About::Else => return refused(&error, about, wait_sec),
    };
    let message = format!("Meta did not take the template: {words}");
    let reason = reason!("refused_by_meta", "{words} ({code})", words, code = error.code);
    AppError::Invalid { message, problems: vec![Problem::of_field(field, reason)] }
}

/// What a client is told of a failure that is about no field.
pub(crate) fn refused(error: &ProviderError, about: About, wait_sec: Option<u64>) -> AppError {
    let message = format!("Meta refused it with {}: {}", error.code, error.title);
    match (about, wait_sec, error.class) {
        (About::Quantity, Some(wait_sec), _) => AppError::Limited { message, wait_sec },
        (_, _, ErrorClass::Request) => AppError::invalid(message),
        _ => AppError::Upstream { code: "provider_refused", message },
    }
}

/// What a client is told when Meta cannot be reached.
pub(crate) fn unreachable_provider() -> AppError {
    AppError::Upstream { code: "provider_unreachable", message: "Meta could not be reached; try again".to_owned() }
}
