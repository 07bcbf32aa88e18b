//! Snapshots of templates and groups, and how they stood at any point of the log.

use application::actor::Session;
use application::error::{AppError, AppResult};
use application::log::{Document, Documents, Position};
use application::templates::archive::{ArchiveState, Snapshot, TemplateArchive};
use application::templates::groups::GroupDocument;
use application::templates::views::TemplateDocument;
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::shared::ids::{TenantId, UserId};
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::event_store::log_reader::{COLUMNS, RawEvent, position};
use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};

/// Snapshots in Postgres.
pub struct PgTemplateArchive {
    /// The database.
    pub pool: PgPool,
}

const SNAPSHOTS: &str = "select id, position, taken_at, taken_by, note, templates, groups from template_snapshots";

#[async_trait]
impl TemplateArchive for PgTemplateArchive {
    async fn head(&self, tenant: TenantId) -> AppResult<Position> {
        let row = sqlx::query(
            "select e.log_epoch, e.transaction_id::text as transaction_text, e.global_position from events e
              where e.tenant_id = $1
              order by e.log_epoch desc, e.transaction_id desc, e.global_position desc limit 1",
        );
        let row = row.bind(tenant.to_string()).fetch_optional(&self.pool).await.map_err(app_error)?;
        Ok(row.as_ref().map(position).transpose().map_err(app_error)?.unwrap_or_default())
    }

    async fn state(&self, tenant: TenantId, at: Position) -> AppResult<ArchiveState> {
        let mut state = ArchiveState {
            templates: self.folded::<TemplateDocument>(tenant, at).await?,
            groups: self.folded::<GroupDocument>(tenant, at).await?,
        };
        let name = |it: &TemplateDocument| it.known().map(|it| (it.name.clone(), it.language.clone()));
        state.templates.sort_by_cached_key(name);
        state.groups.sort_by_key(|it| it.created_at);
        Ok(state)
    }

    async fn keep(&self, session: &Session, snapshot: &Snapshot) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        tx.once(session, "template_snapshot").await?;
        let sql =
            "insert into template_snapshots (id, tenant_id, position, taken_at, taken_by, note, templates, groups)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(sql)
            .bind(snapshot.id)
            .bind(session.tenant.0)
            .bind(snapshot.position.to_string())
            .bind(snapshot.at)
            .bind(snapshot.by.0)
            .bind(&snapshot.note)
            .bind(i32::try_from(snapshot.templates).unwrap_or(i32::MAX))
            .bind(i32::try_from(snapshot.groups).unwrap_or(i32::MAX))
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        let details = json!({ "position": snapshot.position.to_string(), "note": snapshot.note,
                              "templates": snapshot.templates, "groups": snapshot.groups });
        let subject = snapshot.id.to_string();
        tx.commit(AuditEntry::of(session, "template_snapshot.taken", subject, details)).await
    }

    async fn list(&self, tenant: TenantId, limit: u32) -> AppResult<Vec<Snapshot>> {
        let sql = format!("{SNAPSHOTS} where tenant_id = $1 order by taken_at desc, id desc limit $2");
        let query = sqlx::query(&sql).bind(tenant.0).bind(i64::from(limit));
        query.try_map(|row: PgRow| snapshot(&row)).fetch_all(&self.pool).await.map_err(app_error)
    }

    async fn get(&self, tenant: TenantId, id: Uuid) -> AppResult<Option<Snapshot>> {
        let sql = format!("{SNAPSHOTS} where tenant_id = $1 and id = $2");
        let query = sqlx::query(&sql).bind(tenant.0).bind(id);
        query.try_map(|row: PgRow| snapshot(&row)).fetch_optional(&self.pool).await.map_err(app_error)
    }

    async fn restored(&self, session: &Session, snapshot: Uuid, counts: Value) -> AppResult<()> {
        let tx = AuditedTx::begin(&self.pool).await?;
        tx.commit(AuditEntry::of(session, "template_snapshot.restored", snapshot.to_string(), counts)).await
    }
}

impl PgTemplateArchive {
    /// Every stream of a read model, folded up to a position in one read. A stream is in the read model for ever.
    async fn folded<D>(&self, tenant: TenantId, at: Position) -> AppResult<Vec<D>>
    where
        D: Document,
        <D::Aggregate as Aggregate>::Event: Send + Sync,
    {
        let sql = format!(
            "select {COLUMNS} from {} v
               join events e on e.aggregate_type = $2 and e.aggregate_id = v.tenant_id::text || '/' || v.key
              where v.tenant_id = $1
                and (e.log_epoch, e.transaction_id, e.global_position) <= ($3, $4::text::xid8, $5)
              order by e.aggregate_id, e.sequence",
            D::NAME
        );
        let query = sqlx::query(&sql).bind(tenant.0).bind(D::Aggregate::TYPE).bind(at.epoch);
        let mut rows = query.bind(at.transaction.to_string()).bind(at.number).fetch(&self.pool);
        let mut documents = Documents::<D>::default();
        while let Some(row) = rows.try_next().await.map_err(app_error)? {
            let event = RawEvent::read(&row).map_err(app_error)?;
            documents.take(&event.decode().map_err(AppError::internal)?);
        }
        documents.into_stored().map_err(AppError::internal)
    }
}

fn snapshot(row: &PgRow) -> sqlx::Result<Snapshot> {
    let place: String = row.try_get("position")?;
    let place = place.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?;
    Ok(Snapshot {
        id: row.try_get("id")?,
        position: place,
        at: row.try_get("taken_at")?,
        by: UserId(row.try_get("taken_by")?),
        note: row.try_get("note")?,
        templates: row.try_get::<i32, _>("templates")?.unsigned_abs(),
        groups: row.try_get::<i32, _>("groups")?.unsigned_abs(),
    })
}
