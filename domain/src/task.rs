//! Tasks: what one person of an account asks another, or themselves, to do.

use chrono::{DateTime, Utc};

use crate::shared::ids::{ConversationId, LeadId, UserId};

/// Characters of a title at most.
pub const TITLE_MAX: usize = 200;
/// Characters of notes at most.
pub const NOTES_MAX: usize = 10_000;
/// Characters of a comment at most.
pub const COMMENT_MAX: usize = 4_000;
/// Comments of a task at most.
pub const COMMENTS_MAX: u32 = 1_000;
/// Characters of a team's name at most.
pub const TEAM_MAX: usize = 100;

string_enum! {
    /// Where a task stands.
    TaskStatus {
        /// There is something to do.
        Open = "open",
        /// It is done.
        Completed = "completed",
    }
}

/// Why a task cannot be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The title is empty or too long.
    #[error("a title has 1 to {TITLE_MAX} characters")]
    Title,
    /// The notes are too long.
    #[error("notes have at most {NOTES_MAX} characters")]
    Notes,
    /// The comment is empty or too long.
    #[error("a comment has 1 to {COMMENT_MAX} characters")]
    Comment,
    /// There are too many comments.
    #[error("a task has at most {COMMENTS_MAX} comments")]
    Comments,
    /// The team has no name, or too long a one.
    #[error("a team's name has 1 to {TEAM_MAX} characters, and none at its ends that is a space")]
    Team,
    /// It is not theirs to delete.
    #[error("a task is deleted by who made it, or by who sees to the account's people")]
    NotTheirs,
}

/// Who did it, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Task {
    /// What is to be done, in a line.
    pub title: String,
    /// Whatever else there is to say.
    pub notes: Option<String>,
    /// Who is to do it.
    pub assignee: Option<UserId>,
    /// The team that is to do it.
    pub team: Option<String>,
    /// By when.
    pub due_at: Option<DateTime<Utc>>,
    /// The conversation it is about.
    pub conversation: Option<ConversationId>,
    /// The lead it is about.
    pub lead: Option<LeadId>,
    /// Set once it is done.
    pub completed: Option<Completion>,
}

/// What is changed of a task; absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskChange {
    /// What is to be done.
    pub title: Option<String>,
    /// The notes, or none.
    pub notes: Option<Option<String>>,
    /// Who is to do it, or nobody in particular.
    pub assignee: Option<Option<UserId>>,
    /// The team that is to do it, or none.
    pub team: Option<Option<String>>,
    /// By when, or whenever.
    pub due_at: Option<Option<DateTime<Utc>>>,
    /// The conversation it is about, or none.
    pub conversation: Option<Option<ConversationId>>,
    /// The lead it is about, or none.
    pub lead: Option<Option<LeadId>>,
    /// Completes it, or opens it again.
    pub status: Option<TaskStatus>,
}

impl Task {
    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        if self.completed.is_some() { TaskStatus::Completed } else { TaskStatus::Open }
    }

    /// The task after a change by somebody. Completing what is completed changes nothing: the first one did it.
    ///
    /// # Errors
    /// It would break a bound.
    pub fn changed(&self, change: TaskChange, by: UserId, at: DateTime<Utc>) -> Result<Self, TaskError> {
        let completed = match change.status {
            Some(TaskStatus::Completed) => self.completed.or(Some(Completion { by, at })),
            Some(TaskStatus::Open) => None,
            None => self.completed,
        };
        let after = Self {
            title: change.title.map_or_else(|| self.title.clone(), |title| title.trim().to_owned()),
            notes: change.notes.unwrap_or_else(|| self.notes.clone()).filter(|notes| !notes.is_empty()),
            assignee: change.assignee.unwrap_or(self.assignee),
            team: change.team.unwrap_or_else(|| self.team.clone()),
            due_at: change.due_at.unwrap_or(self.due_at),
            conversation: change.conversation.unwrap_or(self.conversation),
            lead: change.lead.unwrap_or(self.lead),
            completed,
        };
        after.check()?;
        Ok(after)
    }

    /// The names of what is not the same in the other.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("title", self.title != other.title),
            ("notes", self.notes != other.notes),
            ("assigneeId", self.assignee != other.assignee),
            ("team", self.team != other.team),
            ("dueAt", self.due_at != other.due_at),
            ("conversationId", self.conversation != other.conversation),
            ("leadId", self.lead != other.lead),
            ("status", self.completed != other.completed),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    fn check(&self) -> Result<(), TaskError> {
        if !(1..=TITLE_MAX).contains(&self.title.chars().count()) {
            return Err(TaskError::Title);
        }
        if self.notes.as_deref().is_some_and(|notes| notes.chars().count() > NOTES_MAX) {
            return Err(TaskError::Notes);
        }
        self.team.as_deref().map_or(Ok(()), check_team)
    }
}

/// Whether a team may be called so.
///
/// # Errors
/// It may not.
pub fn check_team(name: &str) -> Result<(), TaskError> {
    let good = (1..=TEAM_MAX).contains(&name.chars().count()) && name.trim() == name;
    if good { Ok(()) } else { Err(TaskError::Team) }
}

/// Whether one more comment may stand below `comments` others.
///
/// # Errors
/// It is empty or too long, or there are enough.
pub fn check_comment(text: &str, comments: u32) -> Result<(), TaskError> {
    if text.trim().is_empty() || text.chars().count() > COMMENT_MAX {
        return Err(TaskError::Comment);
    }
    if comments >= COMMENTS_MAX { Err(TaskError::Comments) } else { Ok(()) }
}

/// Whether somebody may delete a task: who made it, and who sees everybody's tasks.
///
/// # Errors
/// It is neither.
pub fn check_deletion(by: UserId, made_by: UserId, sees_all: bool) -> Result<(), TaskError> {
    if by == made_by || sees_all { Ok(()) } else { Err(TaskError::NotTheirs) }
}

#[cfg(test)]
mod tests;
