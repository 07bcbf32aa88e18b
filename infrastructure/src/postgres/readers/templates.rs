//! Reads templates and their groups.

use application::error::AppResult;
use application::page::{Page, PageRequest};
use application::templates::groups::GroupDocument;
use application::templates::ports::{TemplateFilter, TemplateGroupReader, TemplateReader};
use application::templates::views::TemplateDocument;
use async_trait::async_trait;
use domain::shared::ids::{TemplateGroupId, TemplateId, TenantId};
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::readers::{document, one, page, sort_of};

/// Templates in Postgres.
pub struct PgTemplateReader {
    /// The database.
    pub pool: PgPool,
}

const WANTED: &str = "tenant_id = $1 and status is not null
    and case when $2::text is null then status <> 'DELETED' else status = $2 end and ($3::text is null or name = $3)";

#[async_trait]
impl TemplateReader for PgTemplateReader {
    async fn list(
        &self,
        tenant: TenantId,
        filter: &TemplateFilter,
        request: &PageRequest,
    ) -> AppResult<Page<TemplateDocument>> {
        let (sort, key) = sort_of(request.after.as_ref());
        let statement = format!(
            "select key, body, sort from template_view
              where {WANTED} and ($4::text is null or (sort, key) > ($4, $5)) order by sort, key limit $6"
        );
        let rows = sqlx::query(&statement)
            .bind(tenant.0)
            .bind(&filter.status)
            .bind(&filter.name)
            .bind(sort)
            .bind(key)
            .bind(i64::from(request.limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let statement = format!("select count(*) from template_view where {WANTED}");
        let total = sqlx::query_scalar(&statement).bind(tenant.0).bind(&filter.status).bind(&filter.name);
        page(rows, request.limit, Some(total.fetch_one(&self.pool).await.map_err(app_error)?))
    }

    async fn of_account(&self, tenant: TenantId, waba_id: &str) -> AppResult<Vec<TemplateDocument>> {
        let statement = "select body from template_view where tenant_id = $1 and waba_id = $2";
        let rows = sqlx::query(statement).bind(tenant.0).bind(waba_id).fetch_all(&self.pool).await;
        rows.map_err(app_error)?.iter().map(document).collect()
    }

    async fn named(&self, tenant: TenantId, names: &[&str]) -> AppResult<Vec<TemplateDocument>> {
        let statement = "select body from template_view where tenant_id = $1 and name = any($2) order by sort, key";
        let rows = sqlx::query(statement).bind(tenant.0).bind(names).fetch_all(&self.pool).await;
        rows.map_err(app_error)?.iter().map(document).collect()
    }

    async fn get(&self, tenant: TenantId, id: TemplateId) -> AppResult<Option<TemplateDocument>> {
        one(&self.pool, tenant, id.to_string()).await
    }
}

/// Groups of templates in Postgres.
pub struct PgTemplateGroupReader {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl TemplateGroupReader for PgTemplateGroupReader {
    async fn list(&self, tenant: TenantId) -> AppResult<Vec<GroupDocument>> {
        let statement = "select body from template_group_view where tenant_id = $1 and name is not null
                          order by created_at, key";
        let rows = sqlx::query(statement).bind(tenant.0).fetch_all(&self.pool).await;
        rows.map_err(app_error)?.iter().map(document).collect()
    }

    async fn get(&self, tenant: TenantId, id: TemplateGroupId) -> AppResult<Option<GroupDocument>> {
        one(&self.pool, tenant, id.to_string()).await
    }

    async fn named(&self, tenant: TenantId, name: &str) -> AppResult<Option<TemplateGroupId>> {
        let statement = "select key from template_group_view where tenant_id = $1 and name = $2
                          order by created_at, key limit 1";
        let key: Option<String> = sqlx::query_scalar(statement)
            .bind(tenant.0)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)?;
        Ok(key.and_then(|key| key.parse().ok()))
    }
}
