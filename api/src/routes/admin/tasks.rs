//! `GET,POST /api/tasks`, `GET,PUT,DELETE /api/tasks/{id}`.

use std::sync::Arc;

use application::people::tasks::{TaskFilter, TaskView};
use application::time::Stamp;
use domain::shared::ids::{ConversationId, LeadId, TaskId, UserId};
use domain::task::{TaskChange, TaskStatus};
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{BareChange, Change, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{DONE, Done, Made, Paged, limit_default, page};
use crate::routes::body::{Body, patch};
use crate::routes::history::time;
use crate::routes::paths::Id;
use crate::security::may::{May, Person};

/// A task to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct NewTaskRequest {
    /// What is to be done, in a line: 1 to 200 characters.
    title: String,
    /// Whatever else there is to say, at most 10 000 characters.
    notes: Option<String>,
    /// Who is to do it: the owner, or an employee who may sign in.
    assignee_id: Option<Uuid>,
    /// The team that is to do it.
    team: Option<String>,
    /// By when.
    due_at: Option<Stamp>,
    /// The conversation it is about.
    conversation_id: Option<Uuid>,
    /// The lead it is about, by its `id`.
    lead_id: Option<Uuid>,
}

impl From<NewTaskRequest> for TaskChange {
    fn from(new: NewTaskRequest) -> Self {
        Self {
            title: Some(new.title),
            notes: Some(new.notes),
            assignee: Some(new.assignee_id.map(UserId)),
            team: Some(new.team),
            due_at: Some(new.due_at.map(|at| at.0)),
            conversation: Some(new.conversation_id.map(ConversationId)),
            lead: Some(new.lead_id.map(LeadId)),
            status: None,
        }
    }
}

/// What is changed of a task; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct TaskChangeRequest {
    /// What is to be done.
    title: Option<String>,
    /// Whatever else there is to say; `null` removes it.
    notes: MaybeUndefined<String>,
    /// Who is to do it; `null` is nobody in particular.
    assignee_id: MaybeUndefined<Uuid>,
    /// The team that is to do it; `null` is none.
    team: MaybeUndefined<String>,
    /// By when; `null` is whenever.
    due_at: MaybeUndefined<Stamp>,
    /// The conversation it is about; `null` is none.
    conversation_id: MaybeUndefined<Uuid>,
    /// The lead it is about; `null` is none.
    lead_id: MaybeUndefined<Uuid>,
    /// `completed` completes it, `open` opens it again.
    status: Option<TaskStatus>,
    /// Something to say about it, 1 to 4 000 characters. It is added, and never changed.
    comment: Option<String>,
    /// The `version` the change was made on; another one by now is a conflict.
    expected_version: Option<u32>,
}

impl TaskChangeRequest {
    fn parts(self) -> (TaskChange, Option<String>, Option<u32>) {
        let change = TaskChange {
            title: self.title,
            notes: patch(self.notes),
            assignee: patch(self.assignee_id).map(|it| it.map(UserId)),
            team: patch(self.team),
            due_at: patch(self.due_at).map(|it| it.map(|at| at.0)),
            conversation: patch(self.conversation_id).map(|it| it.map(ConversationId)),
            lead: patch(self.lead_id).map(|it| it.map(LeadId)),
            status: self.status,
        };
        (change, self.comment, self.expected_version)
    }
}

/// Tasks.
pub struct TasksApi;

#[OpenApi(prefix_path = "/tasks", tag = "Group::Admin")]
impl TasksApi {
    /// List tasks
    ///
    /// The newest first, without comments. An employee sees the tasks they made, those they are to do, and those of
    /// their team; with the permission `people`, and as the owner, everybody's.
    #[oai(path = "/", method = "get", operation_id = "listTasks")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        request: &Request,
        /// Standing so.
        status: Query<Option<TaskStatus>>,
        /// For this person to do.
        assignee: Query<Option<Uuid>>,
        /// For this team to do.
        #[oai(validator(max_length = 100))]
        team: Query<Option<String>>,
        /// Due at this time or later.
        #[oai(name = "dueFrom")]
        due_from: Query<Option<String>>,
        /// Due at this time or earlier.
        #[oai(name = "dueTo")]
        due_to: Query<Option<String>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<TaskView>>, Failure<List>> {
        let filter = TaskFilter {
            status: *status,
            assignee: assignee.map(UserId),
            team: team.0,
            due_from: time(due_from.as_deref())?,
            due_to: time(due_to.as_deref())?,
        };
        Ok(Paged::of(app.people.tasks(&caller.session, &filter, &page(*limit, cursor.as_deref())?).await?, request))
    }

    /// Add a task
    ///
    /// For oneself, for somebody in the account, for a team, or for nobody in particular. A person, conversation or
    /// lead that the account does not have is not found.
    #[oai(path = "/", method = "post", operation_id = "createTask")]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        body: Body<NewTaskRequest>,
    ) -> Result<Made<TaskView>, Failure<Change>> {
        Ok(Made::Created(Json(app.people.create_task(&caller.session, body.0.into()).await?), None))
    }

    /// A task
    ///
    /// With its comments, oldest first. What the caller does not see is not found.
    #[oai(path = "/:id", method = "get", operation_id = "getTask")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        id: Path<Id>,
    ) -> Result<Json<TaskView>, Failure<Read>> {
        Ok(Json(app.people.task(&caller.session, TaskId(id.0.0)).await?))
    }

    /// Work on a task
    ///
    /// Whoever sees a task may assign, complete, reopen, change and comment on it. Absent parts stay as they are. With
    /// `expectedVersion`, a change that somebody else made meanwhile is a conflict (`stale_version`).
    #[oai(path = "/:id", method = "put", operation_id = "updateTask")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        id: Path<Id>,
        body: Body<TaskChangeRequest>,
    ) -> Result<Json<TaskView>, Failure<Change>> {
        let (change, comment, expected) = body.0.parts();
        Ok(Json(app.people.change_task(&caller.session, TaskId(id.0.0), change, comment, expected).await?))
    }

    /// Delete a task
    ///
    /// With its comments. By who made it, by the owner, and by employees with the permission `people`.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTask")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        id: Path<Id>,
    ) -> Result<Json<Done>, Failure<BareChange>> {
        app.people.delete_task(&caller.session, TaskId(id.0.0)).await?;
        Ok(DONE)
    }
}
