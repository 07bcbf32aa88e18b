//! Reads leads.

use application::error::AppResult;
use application::leads::views::LeadView;
use application::leads::{LeadFilter, LeadReader};
use application::page::{Page, PageRequest};
use async_trait::async_trait;
use domain::lead::Lead;
use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::readers::{contains, one, page, sort_of};

/// Leads in Postgres.
pub struct PgLeadReader {
    /// The database.
    pub pool: PgPool,
}

const WANTED: &str = "tenant_id = $1 and ($2::text is null or status = $2)
    and ($3::text is null or phone like $3 or body ->> 'name' ilike $3)";

#[async_trait]
impl LeadReader for PgLeadReader {
    async fn list(&self, tenant: TenantId, filter: &LeadFilter, request: &PageRequest) -> AppResult<Page<LeadView>> {
        let (sort, key) = sort_of(request.after.as_ref());
        let search = contains(filter.search.as_deref());
        let statement = format!(
            "select key, body, created_at as sort from lead_view
              where {WANTED} and ($4::text is null or (created_at, key) < ($4, $5))
              order by created_at desc, key desc limit $6"
        );
        let rows = sqlx::query(&statement)
            .bind(tenant.0)
            .bind(&filter.status)
            .bind(&search)
            .bind(sort)
            .bind(key)
            .bind(i64::from(request.limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let statement = format!("select count(*) from lead_view where {WANTED}");
        let total = sqlx::query_scalar(&statement).bind(tenant.0).bind(&filter.status).bind(&search);
        page(rows, request.limit, Some(total.fetch_one(&self.pool).await.map_err(app_error)?))
    }

    async fn get(&self, tenant: TenantId, phone: &Phone) -> AppResult<Option<LeadView>> {
        let lead: Option<LeadView> = one(&self.pool, tenant, Lead::id_of(tenant, phone).to_string()).await?;
        // What is left of an erased lead is nobody's.
        Ok(lead.filter(|lead| lead.phone.is_some()))
    }
}
