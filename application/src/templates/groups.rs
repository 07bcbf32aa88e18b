//! Groups of templates: make, change, delete, and everything a picker needs.

use std::sync::Arc;

use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::ids::{StreamId, TemplateGroupId, TemplateId, TenantId};
use domain::template::sending::{Unsendable, sendable};
use domain::template_group::command::{GroupChange, TemplateGroupCommand};
use domain::template_group::event::TemplateGroupEvent;
use domain::template_group::pick_strategy::PickStrategy;
use domain::template_group::{Member, OpenGroup, TemplateGroup};
use serde::{Deserialize, Serialize};

use crate::actor::{Cause, Session};
use crate::channels::lines::{LineStore, LineView};
use crate::commands::{Along, CatchUp, Commands};
use crate::error::{AppError, AppResult};
use crate::flows::Written;
use crate::history::at::At;
use crate::log::{Document, Position, Recorded};
use crate::page::PageRequest;
use crate::templates::Templates;
use crate::templates::ports::{TemplateFilter, TemplateGroupReader, TemplateReader};
use crate::templates::views::{TemplateDocument, TemplateView};
use crate::time::{Clock, NewId, Stamp};
use crate::time_travel::{self, Past};

/// Templates a picker shows at most: as many as Meta lets an account have.
pub const TEMPLATES_MAX: u32 = 6_000;

/// A group as it stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupDocument {
    /// The group.
    pub group: TemplateGroup,
    /// When it was made.
    pub created_at: Stamp,
    /// When it was last changed.
    pub updated_at: Stamp,
}

impl Document for GroupDocument {
    const NAME: &'static str = "template_group_view";
    type Aggregate = TemplateGroup;

    fn key(recorded: &Recorded<TemplateGroupEvent>) -> Option<String> {
        Some(recorded.stream.id.to_string())
    }

    fn apply(&mut self, recorded: &Recorded<TemplateGroupEvent>) -> bool {
        let at = Stamp(recorded.recorded_at);
        if recorded.sequence == 1 {
            self.created_at = at;
        }
        // A pick is no change.
        if !matches!(recorded.event, TemplateGroupEvent::Picked { .. }) {
            self.updated_at = at;
        }
        cqrs_es::Aggregate::apply(&mut self.group, recorded.event.clone());
        true
    }
}

impl GroupDocument {
    /// The group, unless it was deleted.
    pub fn open(&self) -> Option<&OpenGroup> {
        self.group.open()
    }
}

/// A template of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MemberView {
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Its id; absent when it is gone without a trace.
    pub template_id: Option<TemplateId>,
    /// Where it stands.
    pub status: Option<String>,
    /// Whether it may be sent now.
    pub sendable: bool,
    /// Why it may not.
    pub not_sendable_because: Option<String>,
}

/// A group of templates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct TemplateGroupView {
    /// Its id.
    pub id: TemplateGroupId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How one of its templates is picked.
    pub pick_strategy: PickStrategy,
    /// The line it sends on, when it is pinned to one.
    pub preferred_phone_number_id: Option<String>,
    /// Its templates, in their order.
    pub templates: Vec<MemberView>,
    /// When it was made.
    pub created_at: Stamp,
    /// When it was last changed.
    pub updated_at: Stamp,
}

/// Everything a picker needs.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct TemplatePicker {
    /// The groups, oldest first.
    pub groups: Vec<TemplateGroupView>,
    /// Every approved template.
    pub available_templates: Vec<TemplateView>,
    /// Every line.
    pub phone_lines: Vec<LineView>,
}

/// The template groups of accounts.
pub struct TemplateGroups {
    /// Where commands go.
    pub commands: Arc<dyn Commands<TemplateGroup>>,
    /// Where lists come from.
    pub reader: Arc<dyn TemplateGroupReader>,
    /// Their templates.
    pub templates: Arc<dyn TemplateReader>,
    /// Templates that may be known at Meta alone.
    pub catalogue: Arc<Templates>,
    /// The lines they may be pinned to.
    pub lines: Arc<dyn LineStore>,
    /// What a write answers with while the read models lag.
    pub past: Arc<dyn Past<TemplateGroup>>,
    /// Lets a caller read its own write.
    pub catch_up: Arc<dyn CatchUp>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl TemplateGroups {
    /// The groups, every approved template, every line.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn picker(&self, session: &Session) -> AppResult<TemplatePicker> {
        let lines = self.lines.list(session.tenant).await?;
        let approved = TemplateFilter { status: Some("APPROVED".to_owned()), name: None };
        let all = PageRequest { limit: TEMPLATES_MAX, after: None };
        let available = self.templates.list(session.tenant, &approved, &all).await?;
        let groups = self.reader.list(session.tenant).await?;
        Ok(TemplatePicker {
            groups: self.shown(session.tenant, &groups, &lines).await?,
            available_templates: available.rows.iter().filter_map(TemplateView::of).collect(),
            phone_lines: lines,
        })
    }

    /// Makes a group.
    ///
    /// # Errors
    /// The name is missing, a template or the line is none of the account's.
    pub async fn create(&self, session: &Session, change: GroupChange) -> AppResult<Written<TemplateGroupView>> {
        self.check(session, &change).await?;
        let id = TemplateGroupId(self.ids.new_id());
        self.run(session, id, TemplateGroupCommand::Create { id, change, at: self.clock.now() }).await
    }

    /// Changes a group.
    ///
    /// # Errors
    /// It is not there, a template or the line is none of the account's.
    pub async fn change(
        &self,
        session: &Session,
        id: TemplateGroupId,
        change: GroupChange,
    ) -> AppResult<Written<TemplateGroupView>> {
        self.reader
            .get(session.tenant, id)
            .await?
            .filter(|it| it.open().is_some())
            .ok_or(AppError::NotFound("template group"))?;
        self.check(session, &change).await?;
        self.run(session, id, TemplateGroupCommand::Change { change, at: self.clock.now() }).await
    }

    /// Deletes a group; all of it is kept.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete(&self, session: &Session, id: TemplateGroupId) -> AppResult<()> {
        let stream = StreamId::new(session.tenant, id.0);
        let command = TemplateGroupCommand::Delete { at: self.clock.now() };
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        self.wait(reached.position).await;
        Ok(())
    }

    /// Takes a template into a group that was asked for when it was submitted.
    ///
    /// # Errors
    /// The database.
    pub async fn join(
        &self,
        tenant: TenantId,
        id: TemplateGroupId,
        create_as: Option<String>,
        member: Member,
        cause: &Cause,
    ) -> AppResult<()> {
        let command = TemplateGroupCommand::Join { id, create_as, member, at: self.clock.now() };
        match self.commands.run(&StreamId::new(tenant, id.0), cause, command, Along::default()).await {
            Ok(_) => Ok(()),
            Err(crate::commands::CommandError::Rule(rule)) => {
                // It was deleted, or filled up, since: there is nothing to join any more.
                tracing::info!(%rule, group = %id, "A template did not join its group");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Templates and line must be the account's own. A template Meta alone knows of is looked for there first.
    async fn check(&self, session: &Session, change: &GroupChange) -> AppResult<()> {
        let mut problems = Vec::new();
        if let Some(members) = change.members.as_deref().filter(|members| !members.is_empty()) {
            let mut unknown = self.unknown(session.tenant, members).await?;
            if !unknown.is_empty() {
                self.catalogue.sync(session.tenant, session.correlation).await?;
                unknown = self.unknown(session.tenant, members).await?;
            }
            let reason = || reason!("no_such_template", "there is no such template");
            let told = |at: usize| Problem::of_field(format!("templates[{at}]"), reason());
            problems.extend(unknown.into_iter().map(told));
        }
        if let Some(line) = change.phone_number_id.as_ref().and_then(Option::as_ref) {
            let lines = self.lines.list(session.tenant).await?;
            if !lines.iter().any(|it| it.phone_number_id == *line) {
                let reason = reason!("no_such_line", "there is no such line");
                problems.push(Problem::of_field("preferredPhoneNumberId", reason));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(AppError::Invalid { message: format!("the group has {} problem(s)", problems.len()), problems })
    }

    /// Which of them are no templates of the account.
    async fn unknown(&self, tenant: TenantId, members: &[Member]) -> AppResult<Vec<usize>> {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let found = self.templates.named(tenant, &names).await?;
        let is_there = |member: &Member| {
            let mut known = found.iter().filter_map(|it| it.known()).filter(|it| it.is_live());
            known.any(|it| it.name == member.name && it.language == member.language)
        };
        Ok(members.iter().enumerate().filter(|(_, member)| !is_there(member)).map(|(at, _)| at).collect())
    }

    async fn run(
        &self,
        session: &Session,
        id: TemplateGroupId,
        command: TemplateGroupCommand,
    ) -> AppResult<Written<TemplateGroupView>> {
        let stream = StreamId::new(session.tenant, id.0);
        let reached = self.commands.run(&stream, &session.cause(), command, Along::default()).await?;
        let caught_up = self.wait(reached.position).await;
        let document = match reached.position.filter(|_| !caught_up) {
            Some(position) => time_travel::all(&*self.past, &stream, &At::Position(position)).await?.pop(),
            None => self.reader.get(session.tenant, id).await?,
        };
        let lines = self.lines.list(session.tenant).await?;
        let documents: Vec<GroupDocument> = document.into_iter().collect();
        let view = self.shown(session.tenant, &documents, &lines).await?.pop();
        Ok(Written { view: view.ok_or(AppError::NotFound("template group"))?, caught_up })
    }

    async fn wait(&self, position: Option<Position>) -> bool {
        match position {
            Some(position) => self.catch_up.wait(&[GroupDocument::NAME], position).await,
            None => true,
        }
    }

    /// The groups with how each of their templates stands.
    async fn shown(
        &self,
        tenant: TenantId,
        documents: &[GroupDocument],
        lines: &[LineView],
    ) -> AppResult<Vec<TemplateGroupView>> {
        let open: Vec<(&GroupDocument, &OpenGroup)> =
            documents.iter().filter_map(|it| Some((it, it.open()?))).collect();
        let names: Vec<&str> =
            open.iter().flat_map(|(_, group)| group.members.iter().map(|member| member.name.as_str())).collect();
        let known = if names.is_empty() { Vec::new() } else { self.templates.named(tenant, &names).await? };
        Ok(open.into_iter().map(|(document, group)| view(document, group, &known, lines)).collect())
    }
}

fn view(
    document: &GroupDocument,
    group: &OpenGroup,
    known: &[TemplateDocument],
    lines: &[LineView],
) -> TemplateGroupView {
    let line = lines.iter().find(|line| Some(&line.phone_number_id) == group.phone_number_id.as_ref());
    // The account's first line is its primary one.
    let waba_id = line.or(lines.first()).map(|line| line.waba_id.as_str());
    TemplateGroupView {
        id: group.id,
        name: group.name.clone(),
        description: group.description.clone(),
        pick_strategy: group.strategy,
        preferred_phone_number_id: group.phone_number_id.clone(),
        templates: group.members.iter().map(|member| member_view(member, known, waba_id)).collect(),
        created_at: document.created_at,
        updated_at: document.updated_at,
    }
}

/// A member as it stands on the business account the group sends on, else on any.
fn member_view(member: &Member, known: &[TemplateDocument], waba_id: Option<&str>) -> MemberView {
    let same =
        |it: &&TemplateDocument| it.known().is_some_and(|it| it.name == member.name && it.language == member.language);
    let there = |it: &&TemplateDocument| it.known().is_some_and(|it| Some(it.waba_id.as_str()) == waba_id);
    let found = known.iter().filter(same).find(there).or_else(|| known.iter().find(same));
    let because = match found {
        Some(found) => sendable(&found.template).err(),
        None => Some(Unsendable::Unknown),
    };
    let found = found.and_then(|it| it.known());
    MemberView {
        name: member.name.clone(),
        language: member.language.clone(),
        template_id: found.map(|it| it.id),
        status: found.map(|it| it.status.to_string()),
        sendable: because.is_none(),
        not_sendable_because: because.map(|reason| reason.to_string()),
    }
}
