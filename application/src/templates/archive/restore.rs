//! Back to how templates and groups stood: by commands whose events stand in the log like any others. What is so
//! already is left alone, so that a restore that was cut off is simply begun again.

use std::collections::HashMap;

use domain::decide::Decide as _;
use domain::shared::ids::{StreamId, TemplateGroupId, TemplateId};
use domain::template::KnownTemplate;
use domain::template::command::TemplateCommand;
use domain::template_group::OpenGroup;
use domain::template_group::command::{GroupChange, TemplateGroupCommand};
use serde_json::json;
use uuid::Uuid;

use crate::actor::{Cause, Session};
use crate::commands::{Along, CommandError};
use crate::error::AppResult;
use crate::log::Document as _;
use crate::templates::archive::ArchiveState;
use crate::templates::archive::views::{RestoreReport, RestoredGroup, RestoredTemplate};
use crate::templates::care::TemplateCare;
use crate::templates::groups::GroupDocument;
use crate::templates::views::TemplateDocument;
use crate::time::Stamp;

/// What is wanted of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreWish {
    /// To which snapshot.
    pub snapshot: Uuid,
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
    /// Delete groups that were made since.
    pub delete_newer: bool,
}

/// What all items need.
struct Restoring<'a> {
    care: &'a TemplateCare,
    session: &'a Session,
    cause: Cause,
    dry_run: bool,
}

impl TemplateCare {
    /// Brings groups, work approvals and our own pauses back to what they were.
    ///
    /// # Errors
    /// There is no such snapshot, or the log cannot be read. What a single item refuses is part of the report.
    pub async fn restore(&self, session: &Session, wish: RestoreWish) -> AppResult<RestoreReport> {
        let snapshot = self.marked(session, wish.snapshot).await?;
        let then = self.archive.state(session.tenant, snapshot.position).await?;
        let now = self.archive.state(session.tenant, self.archive.head(session.tenant).await?).await?;
        let causation = Some(format!("snapshot:{}", snapshot.id));
        // Every item is its own command, and each leads to the same end however often it is run.
        let cause = Cause { causation, once: None, ..session.cause() };
        let restoring = Restoring { care: self, session, cause, dry_run: wish.dry_run };
        let groups = restoring.groups(&then, &now, wish.delete_newer).await?;
        let templates = restoring.templates(&then, &now).await?;
        let report = report(wish.dry_run, groups, templates);
        if !wish.dry_run {
            let counts = json!({ "restored": report.restored, "unchanged": report.unchanged,
                                 "notRestored": report.not_restored, "deleteNewer": wish.delete_newer });
            self.archive.restored(session, snapshot.id, counts).await?;
            let models = [GroupDocument::NAME, TemplateDocument::NAME];
            let head = self.archive.head(session.tenant).await?;
            self.templates.catch_up.wait(&models, head).await;
        }
        Ok(report)
    }
}

impl Restoring<'_> {
    async fn groups(
        &self,
        then: &ArchiveState,
        now: &ArchiveState,
        delete_newer: bool,
    ) -> AppResult<Vec<RestoredGroup>> {
        let lines = self.care.lines.list(self.session.tenant).await?;
        let today: HashMap<TemplateGroupId, &GroupDocument> =
            now.groups.iter().filter_map(|it| Some((it.group.content()?.id, it))).collect();
        let templates = templates_by_name(now);
        let mut all = Vec::new();
        for was in then.groups.iter().filter_map(|it| it.open()) {
            let Some(is) = today.get(&was.id) else { continue };
            let mut notes = gone_members(was, &templates);
            let mut change = content(was);
            let pinned = was.phone_number_id.as_ref();
            if let Some(line) = pinned.filter(|line| !lines.iter().any(|it| it.phone_number_id == **line)) {
                notes
                    .push(format!("the line {line} it sent on is not connected any more: its line stays as it is now"));
                change.phone_number_id = None;
            }
            let command = TemplateGroupCommand::Restore { change, at: self.care.clock.now() };
            let changes = is.group.decide(command.clone()).map_or(true, |events| !events.is_empty());
            let result = self.run_group(was.id, command, changes, "restored", &mut notes).await?;
            all.push(RestoredGroup { id: was.id, name: was.name.clone(), result, notes });
        }
        let was_there = |id: TemplateGroupId| then.groups.iter().filter_map(|it| it.open()).any(|it| it.id == id);
        for newer in now.groups.iter().filter_map(|it| it.open()).filter(|it| !was_there(it.id)) {
            let mut notes = vec!["it was not there then".to_owned()];
            let result = if delete_newer {
                let command = TemplateGroupCommand::Delete { at: self.care.clock.now() };
                self.run_group(newer.id, command, true, "deleted", &mut notes).await?
            } else {
                "kept".to_owned()
            };
            all.push(RestoredGroup { id: newer.id, name: newer.name.clone(), result, notes });
        }
        Ok(all)
    }

    async fn run_group(
        &self,
        id: TemplateGroupId,
        command: TemplateGroupCommand,
        changes: bool,
        done: &str,
        notes: &mut Vec<String>,
    ) -> AppResult<String> {
        if !changes {
            return Ok("unchanged".to_owned());
        }
        if self.dry_run {
            return Ok(done.to_owned());
        }
        let stream = StreamId::new(self.session.tenant, id.0);
        match self.care.groups.commands.run(&stream, &self.cause, command, Along::default()).await {
            Ok(_) => Ok(done.to_owned()),
            Err(CommandError::Rule(rule)) => {
                notes.push(rule.to_string());
                Ok("failed".to_owned())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn templates(&self, then: &ArchiveState, now: &ArchiveState) -> AppResult<Vec<RestoredTemplate>> {
        let today: HashMap<TemplateId, &KnownTemplate> =
            now.templates.iter().filter_map(|it| it.known()).map(|it| (it.id, it)).collect();
        let mut all = Vec::new();
        for was in then.templates.iter().filter_map(|it| it.known()).filter(|it| it.is_live()) {
            let Some(is) = today.get(&was.id) else { continue };
            let (result, notes) = if is.is_gone() {
                ("gone".to_owned(), vec![why_gone(is, self.care)])
            } else {
                self.bring_back(was, is).await?
            };
            all.push(RestoredTemplate {
                id: was.id,
                name: was.name.clone(),
                language: was.language.clone(),
                result,
                notes,
                name_blocked_until: is.name_blocked_until.filter(|_| is.is_gone()).map(Stamp),
            });
        }
        Ok(all)
    }

    /// A person's words about a template: its approval for work, and our own pause.
    async fn bring_back(&self, was: &KnownTemplate, is: &KnownTemplate) -> AppResult<(String, Vec<String>)> {
        let (mut commands, mut notes) = (Vec::new(), Vec::new());
        let at = self.care.clock.now();
        if was.is_work_approved != is.is_work_approved {
            commands.push(TemplateCommand::SetWorkApproval { approved: was.is_work_approved, at });
            let words = if was.is_work_approved { "given again" } else { "taken back again" };
            notes.push(format!("its work approval was {words}"));
        }
        match (&was.own_pause, &is.own_pause) {
            (Some(pause), None) => {
                commands.push(TemplateCommand::PauseSending { reason: pause.reason.clone(), at });
                notes.push("it is paused here again".to_owned());
            }
            (None, Some(_)) => {
                commands.push(TemplateCommand::ResumeSending { at });
                notes.push("its pause was lifted".to_owned());
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if commands.is_empty() {
            return Ok(("unchanged".to_owned(), notes));
        }
        let stream = StreamId::new(self.session.tenant, was.id.0);
        for command in commands.into_iter().filter(|_| !self.dry_run) {
            match self.care.templates.commands.run(&stream, &self.cause, command, Along::default()).await {
                Ok(_) => {}
                Err(CommandError::Rule(rule)) => return Ok(("failed".to_owned(), vec![rule.to_string()])),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(("restored".to_owned(), notes))
    }
}

/// All of a group's content.
fn content(group: &OpenGroup) -> GroupChange {
    GroupChange {
        name: Some(group.name.clone()),
        description: Some(group.description.clone()),
        strategy: Some(group.strategy),
        members: Some(group.members.clone()),
        phone_number_id: Some(group.phone_number_id.clone()),
    }
}

fn templates_by_name(state: &ArchiveState) -> HashMap<(&str, &str), Vec<&KnownTemplate>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for template in state.templates.iter().filter_map(|it| it.known()) {
        all.entry((template.name.as_str(), template.language.as_str())).or_default().push(template);
    }
    all
}

fn gone_members(group: &OpenGroup, templates: &HashMap<(&str, &str), Vec<&KnownTemplate>>) -> Vec<String> {
    let gone = group.members.iter().filter(|member| {
        let known = templates.get(&(member.name.as_str(), member.language.as_str()));
        !known.is_some_and(|all| all.iter().any(|it| it.is_live()))
    });
    let words = |(name, language)| format!("{name} ({language}) is not at Meta any more: it is listed and never sent");
    gone.map(|member| words((&member.name, &member.language))).collect()
}

fn why_gone(template: &KnownTemplate, care: &TemplateCare) -> String {
    match template.name_blocked_until.filter(|until| *until > care.clock.now()) {
        Some(until) => {
            format!("Meta deleted it, and blocks its name until {}: submit it anew after that", Stamp(until))
        }
        None => "Meta deleted it; its name is free: submit it anew".to_owned(),
    }
}

fn report(dry_run: bool, groups: Vec<RestoredGroup>, mut templates: Vec<RestoredTemplate>) -> RestoreReport {
    let results = || groups.iter().map(|it| it.result.as_str()).chain(templates.iter().map(|it| it.result.as_str()));
    let count = |words: &[&str]| u32::try_from(results().filter(|it| words.contains(it)).count()).unwrap_or(u32::MAX);
    let (restored, unchanged, not_restored) =
        (count(&["restored", "deleted"]), count(&["unchanged"]), count(&["gone", "failed"]));
    templates.retain(|it| it.result != "unchanged");
    RestoreReport { dry_run, restored, unchanged, not_restored, groups, templates }
}
