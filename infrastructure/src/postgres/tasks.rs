//! Tasks and what is said about them.

use application::actor::Session;
use application::error::AppResult;
use application::page::{Cursor, LIMIT_MAX, Page, PageRequest};
use application::people::tasks::{Assignee, CommentView, KeptTask, NewComment, TaskFilter, Tasks, Viewer};
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use domain::conversation::Conversation;
use domain::lead::Lead;
use domain::shared::ids::{ConversationId, LeadId, StreamId, TaskId, TenantId, UserId};
use domain::task::{Completion, Task};
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::users::place;

macro_rules! columns {
    () => {
        "t.id, t.title, t.notes, t.assignee_id, t.team, t.due_at, t.conversation_id, t.lead_id, t.created_by, t.completed_by,
         t.completed_at, t.version, t.created_at, t.updated_at,
         (select count(*) from task_comments c where c.task_id = t.id) as comments"
    };
}

/// What a viewer sees: $1 is the account, $2 the viewer, $3 whether they see everybody's.
macro_rules! visible {
    () => {
        "t.tenant_id = $1 and ($3 or t.created_by = $2 or t.assignee_id = $2
            or t.team = (select u.team from users u where u.id = $2))"
    };
}

/// [`Tasks`] on Postgres.
pub struct PgTasks {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl Tasks for PgTasks {
    async fn list(&self, viewer: &Viewer, filter: &TaskFilter, page: &PageRequest) -> AppResult<Page<KeptTask>> {
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (after_at, after_id) = page.after.as_ref().map(place).transpose()?.unzip();
        let sql = concat!(
            "select ",
            columns!(),
            " from tasks t where ",
            visible!(),
            " and ($4::text is null or ($4 = 'completed') = (t.completed_at is not null))
              and ($5::uuid is null or t.assignee_id = $5) and ($6::text is null or t.team = $6)
              and ($7::timestamptz is null or t.due_at >= $7) and ($8::timestamptz is null or t.due_at <= $8)
              and ($9::timestamptz is null or (t.created_at, t.id) < ($9, $10))
            order by t.created_at desc, t.id desc limit $11"
        );
        let mut rows = sqlx::query(sql)
            .bind(viewer.tenant.0)
            .bind(viewer.user.0)
            .bind(viewer.sees_all)
            .bind(filter.status.map(|status| status.as_str()))
            .bind(filter.assignee.map(|it| it.0))
            .bind(&filter.team)
            .bind(filter.due_from)
            .bind(filter.due_to)
            .bind(after_at)
            .bind(after_id)
            .bind(i64::from(limit) + 1)
            .try_map(|row: PgRow| kept(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let cursor =
            |last: &KeptTask| Cursor { sort: last.made_at.timestamp_micros().to_string(), key: last.id.to_string() };
        let next = rows.last().filter(|_| more).map(cursor);
        Ok(Page { rows, next, total: None })
    }

    async fn get(&self, viewer: &Viewer, id: TaskId) -> AppResult<Option<KeptTask>> {
        sqlx::query(concat!("select ", columns!(), " from tasks t where ", visible!(), " and t.id = $4"))
            .bind(viewer.tenant.0)
            .bind(viewer.user.0)
            .bind(viewer.sees_all)
            .bind(id.0)
            .try_map(|row: PgRow| kept(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn comments(&self, tenant: TenantId, id: TaskId) -> AppResult<Vec<CommentView>> {
        let sql = "select c.id, c.author_id, c.text, c.created_at from task_comments c join tasks t on t.id = c.task_id
                    where t.tenant_id = $1 and t.id = $2 order by c.created_at, c.id";
        sqlx::query(sql)
            .bind(tenant.0)
            .bind(id.0)
            .try_map(|row: PgRow| comment(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn assignee(&self, tenant: TenantId, user: UserId) -> AppResult<Assignee> {
        let sql = "select active from users where id = $2 and coalesce(account_id, id) = $1 and deleted_at is null";
        let active: Option<bool> =
            sqlx::query_scalar(sql).bind(tenant.0).bind(user.0).fetch_optional(&self.pool).await.map_err(app_error)?;
        Ok(match active {
            None => Assignee::Nobody,
            Some(false) => Assignee::Inactive,
            Some(true) => Assignee::Active,
        })
    }

    async fn has_conversation(&self, tenant: TenantId, id: ConversationId) -> AppResult<bool> {
        self.has_stream(Conversation::TYPE, StreamId::new(tenant, id.0)).await
    }

    async fn has_lead(&self, tenant: TenantId, id: LeadId) -> AppResult<bool> {
        // What is left of an erased lead is nobody's.
        let sql = "select exists (select from contact_streams s join contact_keys k using (tenant_id, contact_id)
                    where s.tenant_id = $1 and s.aggregate_type = $2 and s.aggregate_id = $3 and k.erased_at is not null)";
        let stream = StreamId::new(tenant, id.0);
        let erased: bool = sqlx::query_scalar(sql)
            .bind(tenant.0)
            .bind(Lead::TYPE)
            .bind(stream.to_string())
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        Ok(!erased && self.has_stream(Lead::TYPE, stream).await?)
    }

    async fn create(&self, session: &Session, id: TaskId, task: &Task, at: DateTime<Utc>) -> AppResult<KeptTask> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "task").await?;
        let sql = concat!(
            "insert into tasks as t (id, tenant_id, title, notes, assignee_id, team, due_at, conversation_id, lead_id,
                                     completed_by, completed_at, created_by, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) returning ",
            columns!()
        );
        let made = bind(sqlx::query(sql).bind(id.0).bind(session.tenant.0), task)
            .bind(session.user.0)
            .bind(at)
            .try_map(|row: PgRow| kept(&row))
            .fetch_one(tx.conn())
            .await
            .map_err(app_error)?;
        let changed = Task::default().differences(task);
        tx.commit(AuditEntry::of(session, "task.created", id.to_string(), told(task, &changed, None))).await?;
        Ok(made)
    }

    async fn save(
        &self,
        session: &Session,
        seen: &KeptTask,
        after: &Task,
        comment: Option<&NewComment>,
        at: DateTime<Utc>,
    ) -> AppResult<Option<KeptTask>> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "task").await?;
        let sql =
            "update tasks set title = $3, notes = $4, assignee_id = $5, team = $6, due_at = $7, conversation_id = $8,
                          lead_id = $9, completed_by = $10, completed_at = $11, version = version + 1, updated_at = $13
                    where id = $1 and tenant_id = $2 and version = $12 returning id";
        let saved = bind(sqlx::query(sql).bind(seen.id.0).bind(session.tenant.0), after)
            .bind(i32::try_from(seen.version).unwrap_or(i32::MAX))
            .bind(at)
            .fetch_optional(tx.conn())
            .await
            .map_err(app_error)?;
        if saved.is_none() {
            return Ok(None);
        }
        if let Some(comment) = comment {
            sqlx::query(
                "insert into task_comments (id, task_id, author_id, text, created_at) values ($1, $2, $3, $4, $5)",
            )
            .bind(comment.id)
            .bind(seen.id.0)
            .bind(session.user.0)
            .bind(&comment.text)
            .bind(at)
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        }
        let saved = sqlx::query(concat!("select ", columns!(), " from tasks t where t.id = $1"))
            .bind(seen.id.0)
            .try_map(|row: PgRow| kept(&row))
            .fetch_one(tx.conn())
            .await
            .map_err(app_error)?;
        let changed = seen.task.differences(after);
        let action = if changed.is_empty() { "task.commented" } else { "task.changed" };
        tx.commit(AuditEntry::of(session, action, seen.id.to_string(), told(after, &changed, comment))).await?;
        Ok(Some(saved))
    }

    async fn delete(&self, session: &Session, seen: &KeptTask) -> AppResult<bool> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "task").await?;
        let gone = sqlx::query("delete from tasks where id = $1 and tenant_id = $2").bind(seen.id.0);
        let gone = gone.bind(session.tenant.0).execute(tx.conn()).await.map_err(app_error)?;
        if gone.rows_affected() == 0 {
            return Ok(false);
        }
        let details = json!({ "createdBy": seen.made_by, "status": seen.task.status(), "comments": seen.comments });
        tx.commit(AuditEntry::of(session, "task.deleted", seen.id.to_string(), details)).await?;
        Ok(true)
    }
}

impl PgTasks {
    /// The log knows at once; read models may lag.
    async fn has_stream(&self, aggregate: &str, stream: StreamId) -> AppResult<bool> {
        let sql = "select exists (select from events where aggregate_type = $1 and aggregate_id = $2 and sequence = 1)";
        let query = sqlx::query_scalar(sql).bind(aggregate).bind(stream.to_string());
        query.fetch_one(&self.pool).await.map_err(app_error)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Binds what the two statements that write a task share, in their order.
fn bind<'q>(query: Query<'q>, task: &'q Task) -> Query<'q> {
    query
        .bind(&task.title)
        .bind(&task.notes)
        .bind(task.assignee.map(|it| it.0))
        .bind(&task.team)
        .bind(task.due_at)
        .bind(task.conversation.map(|it| it.0))
        .bind(task.lead.map(|it| it.0))
        .bind(task.completed.map(|it| it.by.0))
        .bind(task.completed.map(|it| it.at))
}

/// What of a task changed. What people write about customers stays out of what is kept for ever.
fn told(task: &Task, changed: &[&str], comment: Option<&NewComment>) -> Value {
    let mut details = serde_json::Map::new();
    details.insert("changed".to_owned(), json!(changed));
    for name in changed {
        let now = match *name {
            "assigneeId" => json!(task.assignee),
            "team" => json!(task.team),
            "dueAt" => json!(task.due_at.map(Stamp)),
            "conversationId" => json!(task.conversation),
            "leadId" => json!(task.lead),
            "status" => json!(task.status()),
            _ => continue,
        };
        details.insert((*name).to_owned(), now);
    }
    if let Some(comment) = comment {
        details.insert("commentId".to_owned(), json!(comment.id));
    }
    Value::Object(details)
}

fn kept(row: &PgRow) -> sqlx::Result<KeptTask> {
    let id = |name: &str| row.try_get::<Option<Uuid>, _>(name);
    let completed = id("completed_by")?.zip(row.try_get::<Option<DateTime<Utc>>, _>("completed_at")?);
    Ok(KeptTask {
        id: TaskId(row.try_get("id")?),
        task: Task {
            title: row.try_get("title")?,
            notes: row.try_get("notes")?,
            assignee: id("assignee_id")?.map(UserId),
            team: row.try_get("team")?,
            due_at: row.try_get("due_at")?,
            conversation: id("conversation_id")?.map(ConversationId),
            lead: id("lead_id")?.map(LeadId),
            completed: completed.map(|(by, at)| Completion { by: UserId(by), at }),
        },
        made_by: UserId(row.try_get("created_by")?),
        made_at: row.try_get("created_at")?,
        changed_at: row.try_get("updated_at")?,
        version: row.try_get::<i32, _>("version")?.unsigned_abs(),
        comments: u32::try_from(row.try_get::<i64, _>("comments")?).unwrap_or(u32::MAX),
    })
}

fn comment(row: &PgRow) -> sqlx::Result<CommentView> {
    Ok(CommentView {
        id: row.try_get("id")?,
        author_id: row.try_get("author_id")?,
        text: row.try_get("text")?,
        created_at: Stamp(row.try_get("created_at")?),
    })
}
