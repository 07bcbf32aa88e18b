//! Reads appointments.

use application::appointments::views::AppointmentView;
use application::appointments::{AppointmentFilter, AppointmentReader};
use application::error::AppResult;
use application::page::{Page, PageRequest};
use async_trait::async_trait;
use domain::appointment::AppointmentStatus;
use domain::shared::ids::{AppointmentId, TenantId};
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::readers::{one, page, sort_of};

/// Appointments in Postgres.
pub struct PgAppointmentReader {
    /// The database.
    pub pool: PgPool,
}

const WANTED: &str = "tenant_id = $1 and ($2::text is null or ends > $2) and ($3::text is null or begins < $3)
    and ($4::text is null or status = $4) and ($5::text is null or resource = $5)";

#[async_trait]
impl AppointmentReader for PgAppointmentReader {
    async fn list(
        &self,
        tenant: TenantId,
        filter: &AppointmentFilter,
        request: &PageRequest,
    ) -> AppResult<Page<AppointmentView>> {
        let (sort, key) = sort_of(request.after.as_ref());
        let (from, to) = (filter.from.map(|it| it.to_string()), filter.to.map(|it| it.to_string()));
        let status = filter.status.map(AppointmentStatus::as_str);
        let statement = format!(
            "select key, body, begins as sort from appointment_view
              where {WANTED} and ($6::text is null or (begins, key) > ($6, $7))
              order by begins, key limit $8"
        );
        let rows = sqlx::query(&statement)
            .bind(tenant.0)
            .bind(&from)
            .bind(&to)
            .bind(status)
            .bind(&filter.resource_id)
            .bind(sort)
            .bind(key)
            .bind(i64::from(request.limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(app_error)?;
        let statement = format!("select count(*) from appointment_view where {WANTED}");
        let total = sqlx::query_scalar(&statement)
            .bind(tenant.0)
            .bind(&from)
            .bind(&to)
            .bind(status)
            .bind(&filter.resource_id)
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        page(rows, request.limit, Some(total))
    }

    async fn get(&self, tenant: TenantId, id: AppointmentId) -> AppResult<Option<AppointmentView>> {
        one(&self.pool, tenant, id.to_string()).await
    }
}
