//! Signatures that were used. Kept through a crash of the database: what took effect must not do so again.

use application::error::AppResult;
use application::limits::signed_calls::UsedSignatures;
use async_trait::async_trait;
use domain::shared::ids::FlowId;
use sqlx::PgPool;

use crate::postgres::app_error;
use crate::postgres::limits::LimitKeys;

/// [`UsedSignatures`] on Postgres.
pub struct PgUsedSignatures {
    pool: PgPool,
    keys: LimitKeys,
}

impl PgUsedSignatures {
    /// Signatures in this database.
    pub fn new(pool: PgPool, keys: LimitKeys) -> Self {
        Self { pool, keys }
    }
}

#[async_trait]
impl UsedSignatures for PgUsedSignatures {
    async fn is_first_use(&self, flow: FlowId, signature: &str) -> AppResult<bool> {
        let mark = self.keys.digest(&["signature", &flow.to_string(), signature]);
        sqlx::query("insert into used_signatures (mark) values ($1) on conflict do nothing")
            .bind(mark.as_slice())
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(app_error)
    }
}
