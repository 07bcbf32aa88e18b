//! Reads flows.

use application::error::AppResult;
use application::flows::ports::FlowReader;
use application::flows::views::{FlowVersionView, FlowView};
use application::page::{Page, PageRequest};
use async_trait::async_trait;
use domain::shared::ids::{FlowId, TenantId};
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::readers::{one, page, sort_of};

/// Flows in Postgres.
pub struct PgFlowReader {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl FlowReader for PgFlowReader {
    async fn list(&self, tenant: TenantId, request: &PageRequest) -> AppResult<Page<FlowView>> {
        let (sort, key) = sort_of(request.after.as_ref());
        let rows = sqlx::query(
            "select key, body, created_at as sort from flow_view
              where tenant_id = $1 and ($2::text is null or (created_at, key) > ($2, $3))
              order by created_at, key limit $4",
        )
        .bind(tenant.0)
        .bind(sort)
        .bind(key)
        .bind(i64::from(request.limit) + 1)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        let total = sqlx::query_scalar("select count(*) from flow_view where tenant_id = $1").bind(tenant.0);
        page(rows, request.limit, Some(total.fetch_one(&self.pool).await.map_err(app_error)?))
    }

    async fn get(&self, tenant: TenantId, id: FlowId) -> AppResult<Option<FlowView>> {
        one(&self.pool, tenant, id.to_string()).await
    }

    async fn versions(&self, tenant: TenantId, id: FlowId, request: &PageRequest) -> AppResult<Page<FlowVersionView>> {
        let before: Option<i32> = request.after.as_ref().and_then(|cursor| cursor.sort.parse().ok());
        let rows = sqlx::query(
            "select key, body, version::text as sort from flow_version_view
              where tenant_id = $1 and flow_id = $2 and ($3::int is null or version < $3)
              order by version desc limit $4",
        )
        .bind(tenant.0)
        .bind(id.to_string())
        .bind(before)
        .bind(i64::from(request.limit) + 1)
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        page(rows, request.limit, None)
    }
}
