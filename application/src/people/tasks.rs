//! Tasks: seen by who made them, who is to do them and whose team is; by everybody who sees to people.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::access::{Need, Permission};
use domain::shared::ids::{ConversationId, LeadId, TaskId, TenantId, UserId};
use domain::task::{COMMENTS_MAX, Task, TaskChange, TaskStatus, check_comment, check_deletion};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::page::{Page, PageRequest};
use crate::people::People;
use crate::time::Stamp;

/// Times a change is decided before it gives up on a task others keep changing.
const ATTEMPTS_MAX: u32 = 5;

/// What somebody said about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase", rename = "TaskComment"))]
pub struct CommentView {
    /// Its id.
    pub id: Uuid,
    /// Who said it.
    pub author_id: Uuid,
    /// What.
    pub text: String,
    /// When.
    pub created_at: Stamp,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", rename = "Task", skip_serializing_if_is_none))]
pub struct TaskView {
    /// Its id.
    pub id: Uuid,
    /// What is to be done, in a line.
    pub title: String,
    /// Whatever else there is to say.
    pub notes: Option<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// Who is to do it.
    pub assignee_id: Option<Uuid>,
    /// The team that is to do it.
    pub team: Option<String>,
    /// By when.
    pub due_at: Option<Stamp>,
    /// The conversation it is about.
    pub conversation_id: Option<Uuid>,
    /// The lead it is about.
    pub lead_id: Option<Uuid>,
    /// Who made it.
    pub created_by: Uuid,
    /// When it was made.
    pub created_at: Stamp,
    /// When it last changed.
    pub updated_at: Stamp,
    /// Who completed it.
    pub completed_by: Option<Uuid>,
    /// When it was completed.
    pub completed_at: Option<Stamp>,
    /// Counts its changes, from 1; `expectedVersion` of a change takes it.
    pub version: u32,
    /// How many comments there are.
    pub comment_count: u32,
    /// What was said about it, oldest first; lists leave it out.
    pub comments: Option<Vec<CommentView>>,
}

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTask {
    /// Its id.
    pub id: TaskId,
    /// The task.
    pub task: Task,
    /// Who made it.
    pub made_by: UserId,
    /// When.
    pub made_at: DateTime<Utc>,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
    /// Counts its changes, from 1.
    pub version: u32,
    /// How many comments there are.
    pub comments: u32,
}

impl KeptTask {
    fn view(self, comments: Option<Vec<CommentView>>) -> TaskView {
        let Self { id, task, made_by, made_at, changed_at, version, comments: comment_count } = self;
        TaskView {
            id: id.0,
            status: task.status(),
            title: task.title,
            notes: task.notes,
            assignee_id: task.assignee.map(|it| it.0),
            team: task.team,
            due_at: task.due_at.map(Stamp),
            conversation_id: task.conversation.map(|it| it.0),
            lead_id: task.lead.map(|it| it.0),
            created_by: made_by.0,
            created_at: Stamp(made_at),
            updated_at: Stamp(changed_at),
            completed_by: task.completed.map(|it| it.by.0),
            completed_at: task.completed.map(|it| Stamp(it.at)),
            version,
            comment_count,
            comments,
        }
    }
}

/// A comment to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComment {
    /// Its id.
    pub id: Uuid,
    /// What is said.
    pub text: String,
}

/// Who looks. They see the tasks they made, those they are to do, and those of their team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// In which account.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    /// Whether they see everybody's.
    pub sees_all: bool,
}

impl Viewer {
    fn of(session: &Session) -> Self {
        let sees_all = session.access.meets(Need::Granted(Permission::People));
        Self { tenant: session.tenant, user: session.user, sees_all }
    }
}

/// Which tasks are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Standing so.
    pub status: Option<TaskStatus>,
    /// For this person to do.
    pub assignee: Option<UserId>,
    /// For this team to do.
    pub team: Option<String>,
    /// Due then or later.
    pub due_from: Option<DateTime<Utc>>,
    /// Due then or earlier.
    pub due_to: Option<DateTime<Utc>>,
}

/// Somebody a task may be given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    /// Nobody in the account is called so.
    Nobody,
    /// They may not sign in at present.
    Inactive,
    /// They are there.
    Active,
}

/// Tasks; every change with an audit entry in the same transaction.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// What the viewer sees, the newest first.
    async fn list(&self, viewer: &Viewer, filter: &TaskFilter, page: &PageRequest) -> AppResult<Page<KeptTask>>;
    /// One task, if the viewer sees it.
    async fn get(&self, viewer: &Viewer, id: TaskId) -> AppResult<Option<KeptTask>>;
    /// What was said about it.
    async fn comments(&self, tenant: TenantId, id: TaskId) -> AppResult<Vec<CommentView>>;
    /// Whether somebody of the account can be given a task.
    async fn assignee(&self, tenant: TenantId, user: UserId) -> AppResult<Assignee>;
    /// Whether the account has this conversation.
    async fn has_conversation(&self, tenant: TenantId, id: ConversationId) -> AppResult<bool>;
    /// Whether the account has this lead.
    async fn has_lead(&self, tenant: TenantId, id: LeadId) -> AppResult<bool>;
    /// Makes a task.
    async fn create(&self, session: &Session, id: TaskId, task: &Task, at: DateTime<Utc>) -> AppResult<KeptTask>;
    /// Stores a task that is still at the version it was `seen` at, with one more comment; `None` when it is not.
    async fn save(
        &self,
        session: &Session,
        seen: &KeptTask,
        after: &Task,
        comment: Option<&NewComment>,
        at: DateTime<Utc>,
    ) -> AppResult<Option<KeptTask>>;
    /// Deletes a task and its comments; false when it is gone already.
    async fn delete(&self, session: &Session, seen: &KeptTask) -> AppResult<bool>;
}

impl People {
    /// The tasks somebody sees, the newest first, without comments.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn tasks(&self, session: &Session, filter: &TaskFilter, page: &PageRequest) -> AppResult<Page<TaskView>> {
        Ok(self.tasks.list(&Viewer::of(session), filter, page).await?.map(|task| task.view(None)))
    }

    /// One task, with its comments.
    ///
    /// # Errors
    /// Not there for who asks.
    pub async fn task(&self, session: &Session, id: TaskId) -> AppResult<TaskView> {
        let task = self.visible(session, id).await?;
        self.with_comments(session, task).await
    }

    /// Makes a task.
    ///
    /// # Errors
    /// A field breaks a bound, or it names somebody or something that the account does not have.
    pub async fn create_task(&self, session: &Session, facts: TaskChange) -> AppResult<TaskView> {
        let at = self.clock.now();
        let task = Task::default().changed(facts, session.user, at)?;
        self.check_names(session, &Task::default(), &task).await?;
        let made = self.tasks.create(session, TaskId(self.ids.new_id()), &task, at).await?;
        Ok(made.view(Some(Vec::new())))
    }

    /// Changes a task, and says something about it. What changes nothing is answered as it stands.
    ///
    /// # Errors
    /// Not there for who asks, at another version than they expect, or as [`People::create_task`].
    pub async fn change_task(
        &self,
        session: &Session,
        id: TaskId,
        change: TaskChange,
        comment: Option<String>,
        expected_version: Option<u32>,
    ) -> AppResult<TaskView> {
        let comment = comment.map(|text| NewComment { id: self.ids.new_id(), text });
        for _ in 0..ATTEMPTS_MAX {
            let seen = self.visible(session, id).await?;
            let at = self.clock.now();
            let after = seen.task.changed(change.clone(), session.user, at)?;
            if after == seen.task && comment.is_none() {
                return self.with_comments(session, seen).await;
            }
            if expected_version.is_some_and(|expected| expected != seen.version) {
                let message = format!("the task changed meanwhile: it is at version {}", seen.version);
                return Err(AppError::conflict("stale_version", &message));
            }
            comment.as_ref().map_or(Ok(()), |comment| check_comment(&comment.text, seen.comments))?;
            self.check_names(session, &seen.task, &after).await?;
            if let Some(saved) = self.tasks.save(session, &seen, &after, comment.as_ref(), at).await? {
                return self.with_comments(session, saved).await;
            }
        }
        Err(AppError::conflict("contended", &"too many changes at once; try again"))
    }

    /// Deletes a task and its comments.
    ///
    /// # Errors
    /// Not there for who asks, or not theirs to delete.
    pub async fn delete_task(&self, session: &Session, id: TaskId) -> AppResult<()> {
        let seen = self.visible(session, id).await?;
        check_deletion(session.user, seen.made_by, Viewer::of(session).sees_all)?;
        if self.tasks.delete(session, &seen).await? { Ok(()) } else { Err(AppError::NotFound("task")) }
    }

    async fn visible(&self, session: &Session, id: TaskId) -> AppResult<KeptTask> {
        self.tasks.get(&Viewer::of(session), id).await?.ok_or(AppError::NotFound("task"))
    }

    async fn with_comments(&self, session: &Session, task: KeptTask) -> AppResult<TaskView> {
        let comments =
            if task.comments == 0 { Vec::new() } else { self.tasks.comments(session.tenant, task.id).await? };
        debug_assert!(comments.len() <= COMMENTS_MAX as usize);
        Ok(task.view(Some(comments)))
    }

    /// Whom and what the task names anew is the account's own.
    async fn check_names(&self, session: &Session, before: &Task, after: &Task) -> AppResult<()> {
        let tenant = session.tenant;
        if let Some(assignee) = after.assignee.filter(|_| after.assignee != before.assignee) {
            match self.tasks.assignee(tenant, assignee).await? {
                Assignee::Active => {}
                Assignee::Inactive => {
                    return Err(AppError::conflict("assignee_inactive", &"this person may not sign in at present"));
                }
                Assignee::Nobody => return Err(AppError::NotFound("assignee")),
            }
        }
        if let Some(conversation) = after.conversation.filter(|_| after.conversation != before.conversation)
            && !self.tasks.has_conversation(tenant, conversation).await?
        {
            return Err(AppError::NotFound("conversation"));
        }
        if let Some(lead) = after.lead.filter(|_| after.lead != before.lead)
            && !self.tasks.has_lead(tenant, lead).await?
        {
            return Err(AppError::NotFound("lead"));
        }
        Ok(())
    }
}
