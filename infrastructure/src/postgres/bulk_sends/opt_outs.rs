//! Who wants no messages of many. The phone is kept as a hash: the wish outlives the person's data.

use application::bulk::ports::OptOuts;
use application::error::AppResult;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use sqlx::PgPool;

use crate::postgres::app_error;

/// [`OptOuts`] on Postgres.
pub struct PgOptOuts {
    /// The database.
    pub pool: PgPool,
}

#[async_trait]
impl OptOuts for PgOptOuts {
    async fn set(&self, tenant: TenantId, phone: &Phone, source: &str, out: bool, at: DateTime<Utc>) -> AppResult<()> {
        // Who takes them again is kept too: news that come late must not undo it.
        let query = sqlx::query(
            "insert into opt_outs as o (tenant_id, phone_hash, source, is_out, since)
             values ($1, sha256(convert_to($1::text || $2, 'UTF8')), $3, $4, $5)
             on conflict (tenant_id, phone_hash) do update
                set source = excluded.source, is_out = excluded.is_out, since = excluded.since where o.since <= excluded.since",
        );
        let query = query.bind(tenant.0).bind(phone.to_string()).bind(source).bind(out).bind(at);
        query.execute(&self.pool).await.map(drop).map_err(app_error)
    }
}
