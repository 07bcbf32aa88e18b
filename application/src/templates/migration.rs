//! Groups from one line to another, as when a WhatsApp Business Account is connected anew: which group sends on which
//! line, and how each of its templates stands on the new line's account.

use domain::shared::ids::{StreamId, TemplateGroupId, TemplateId};
use domain::template::KnownTemplate;
use domain::template::approval::Status;
use domain::template_group::command::{GroupChange, TemplateGroupCommand};
use domain::template_group::pick_strategy::PickStrategy;
use domain::template_group::{Member, OpenGroup};

use crate::actor::{Cause, Session};
use crate::channels::lines::LineView;
use crate::commands::{Along, CommandError};
use crate::error::{AppError, AppResult};
use crate::log::Document as _;
use crate::templates::care::TemplateCare;
use crate::templates::groups::GroupDocument;
use crate::templates::views::TemplateDocument;
use crate::time::Stamp;

/// Groups of a request at most.
pub const GROUPS_MAX: usize = 1_000;

/// A line groups may send on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MappedLine {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp Business Account.
    pub waba_id: String,
    /// The number as people see it.
    pub display_phone_number: String,
    /// Whether it is the line used when a group is pinned to none.
    pub is_primary: bool,
}

/// A template as it stands on a line's account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MappedTemplate {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// `approved`, `pending`, `missing` (the account has no such template), or `other` (see `status`).
    pub found: String,
    /// Where it stands there, in Meta's word.
    pub status: Option<String>,
    /// Its id there.
    pub template_id: Option<TemplateId>,
}

/// A group with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MappedGroup {
    /// The group.
    pub id: TemplateGroupId,
    /// Its name.
    pub name: String,
    /// How its templates are picked.
    pub pick_strategy: PickStrategy,
    /// The line it is pinned to.
    pub phone_number_id: Option<String>,
    /// The WhatsApp Business Account it sends on: its line's, else the primary line's.
    pub waba_id: Option<String>,
    /// Its templates, in their order, as they stand there.
    pub templates: Vec<MappedTemplate>,
}

/// Which group sends on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LineMapping {
    /// When this was so.
    pub exported_at: Stamp,
    /// The lines.
    pub lines: Vec<MappedLine>,
    /// The groups, oldest first.
    pub groups: Vec<MappedGroup>,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemapWish {
    /// The line groups are to send on.
    pub to: String,
    /// Those that are pinned to this line alone.
    pub from: Option<String>,
    /// These groups; all of them when absent.
    pub groups: Option<Vec<TemplateGroupId>>,
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
}

/// What a remap did to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RemappedGroup {
    /// The group.
    pub id: TemplateGroupId,
    /// Its name.
    pub name: String,
    /// The line it was pinned to.
    pub from_phone_number_id: Option<String>,
    /// `remapped`, `unchanged` (it is pinned to that line already), or `failed`.
    pub result: String,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether any of its templates may be sent on the new line's account.
    pub can_send: bool,
    /// Its templates, as they stand on the new line's account.
    pub templates: Vec<MappedTemplate>,
}

/// What a remap did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RemapReport {
    /// Whether nothing was done, and this is what would be.
    pub dry_run: bool,
    /// The line they send on.
    pub line: MappedLine,
    /// True when Meta's list of the new account could not be read: templates are as they were last known.
    pub stale: bool,
    /// Groups that were remapped.
    pub remapped: u32,
    /// Templates that are approved, pending, missing or otherwise on the new account, each counted once a group.
    pub approved: u32,
    /// Pending ones.
    pub pending: u32,
    /// Missing ones.
    pub missing: u32,
    /// Others.
    pub other: u32,
    /// Every group.
    pub groups: Vec<RemappedGroup>,
}

impl TemplateCare {
    /// Which group sends on which line, with its templates.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn line_mapping(&self, session: &Session) -> AppResult<LineMapping> {
        let lines = self.lines.list(session.tenant).await?;
        let groups = self.groups.reader.list(session.tenant).await?;
        let open: Vec<&OpenGroup> = groups.iter().filter_map(|it| it.open()).collect();
        let known = self.named(session, &open).await?;
        let groups = open.into_iter().map(|group| {
            let line = lines.iter().find(|line| Some(&line.phone_number_id) == group.phone_number_id.as_ref());
            // The account's first line is its primary one.
            let waba_id = line.or(lines.first()).map(|line| line.waba_id.clone());
            MappedGroup {
                id: group.id,
                name: group.name.clone(),
                pick_strategy: group.strategy,
                phone_number_id: group.phone_number_id.clone(),
                templates: mapped(&group.members, &known, waba_id.as_deref()),
                waba_id,
            }
        });
        let groups = groups.collect();
        let lines = lines.iter().map(MappedLine::of).collect();
        Ok(LineMapping { exported_at: Stamp(self.clock.now()), lines, groups })
    }

    /// Pins groups to another line, and tells how their templates stand there.
    ///
    /// # Errors
    /// The line or a group is none of the account's; then nothing was changed.
    pub async fn remap(&self, session: &Session, wish: RemapWish) -> AppResult<RemapReport> {
        let lines = self.lines.list(session.tenant).await?;
        let line = lines.iter().find(|line| line.phone_number_id == wish.to).ok_or(AppError::NotFound("line"))?;
        let all = self.groups.reader.list(session.tenant).await?;
        let mut open: Vec<&OpenGroup> = all.iter().filter_map(|it| it.open()).collect();
        if let Some(named) = &wish.groups {
            if !named.iter().all(|id| open.iter().any(|group| group.id == *id)) {
                return Err(AppError::NotFound("template group"));
            }
            open.retain(|group| named.contains(&group.id));
        }
        if let Some(from) = &wish.from {
            open.retain(|group| group.phone_number_id.as_ref() == Some(from));
        }
        // A new account's templates may be known at Meta alone.
        let synced = self.templates.sync(session.tenant, session.correlation).await?;
        let stale = !synced.accounts.iter().any(|account| account.waba_id == line.waba_id && !account.stale);
        let known = self.named(session, &open).await?;
        let cause = Cause { once: None, ..session.cause() };
        let (mut groups, mut reached) = (Vec::new(), None);
        for group in open {
            let templates = mapped(&group.members, &known, Some(&line.waba_id));
            let pinned = group.phone_number_id.as_ref() == Some(&line.phone_number_id);
            let mut remapped = RemappedGroup {
                id: group.id,
                name: group.name.clone(),
                from_phone_number_id: group.phone_number_id.clone(),
                result: if pinned { "unchanged" } else { "remapped" }.to_owned(),
                error: None,
                can_send: templates.iter().any(|it| it.found == "approved"),
                templates,
            };
            if !pinned && !wish.dry_run {
                let change =
                    GroupChange { phone_number_id: Some(Some(line.phone_number_id.clone())), ..GroupChange::default() };
                let command = TemplateGroupCommand::Change { change, at: self.clock.now() };
                let stream = StreamId::new(session.tenant, group.id.0);
                match self.groups.commands.run(&stream, &cause, command, Along::default()).await {
                    Ok(done) => reached = done.position.or(reached),
                    Err(CommandError::Rule(rule)) => {
                        (remapped.result, remapped.error) = ("failed".to_owned(), Some(rule.to_string()));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            groups.push(remapped);
        }
        if let Some(position) = reached {
            self.groups.catch_up.wait(&[GroupDocument::NAME], position).await;
        }
        Ok(RemapReport::of(wish.dry_run, MappedLine::of(line), stale, groups))
    }

    async fn named(&self, session: &Session, groups: &[&OpenGroup]) -> AppResult<Vec<TemplateDocument>> {
        let names: Vec<&str> = groups.iter().flat_map(|it| it.members.iter().map(|it| it.name.as_str())).collect();
        if names.is_empty() { Ok(Vec::new()) } else { self.templates.reader.named(session.tenant, &names).await }
    }
}

impl MappedLine {
    fn of(line: &LineView) -> Self {
        Self {
            phone_number_id: line.phone_number_id.clone(),
            waba_id: line.waba_id.clone(),
            display_phone_number: line.display_phone_number.clone(),
            is_primary: line.is_primary,
        }
    }
}

impl RemapReport {
    fn of(dry_run: bool, line: MappedLine, stale: bool, groups: Vec<RemappedGroup>) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let found =
            |word: &str| count(groups.iter().flat_map(|group| &group.templates).filter(|it| it.found == word).count());
        Self {
            dry_run,
            line,
            stale,
            remapped: count(groups.iter().filter(|it| it.result == "remapped").count()),
            approved: found("approved"),
            pending: found("pending"),
            missing: found("missing"),
            other: found("other"),
            groups,
        }
    }
}

fn mapped(members: &[Member], known: &[TemplateDocument], waba_id: Option<&str>) -> Vec<MappedTemplate> {
    let there = |member: &Member| {
        let mut all = known.iter().filter_map(|it| it.known());
        all.find(|it| it.name == member.name && it.language == member.language && Some(it.waba_id.as_str()) == waba_id)
    };
    let mapped = |member: &Member| {
        let template = there(member).filter(|it| it.is_live());
        MappedTemplate {
            name: member.name.clone(),
            language: member.language.clone(),
            found: template.map_or("missing", found).to_owned(),
            status: template.map(|it| it.status.to_string()),
            template_id: template.map(|it| it.id),
        }
    };
    members.iter().map(mapped).collect()
}

fn found(template: &KnownTemplate) -> &'static str {
    match template.status {
        Status::Approved | Status::Flagged => "approved",
        Status::Pending | Status::Submitting | Status::InAppeal => "pending",
        _ => "other",
    }
}
