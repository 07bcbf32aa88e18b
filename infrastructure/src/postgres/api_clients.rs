//! Accounts' API credentials.

use std::sync::Arc;

use application::actor::Session;
use application::error::AppResult;
use application::identity::api_access::{ApiClient, ApiClients};
use async_trait::async_trait;
use domain::access::Permission;
use domain::shared::ids::UserId;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::sessions::PgSessions;
use crate::postgres::{app_error, taken_or};

macro_rules! select {
    ($by:literal) => {
        concat!("select user_id, client_id, key_prefix, key_hash, scopes, rotated_at from api_clients where ", $by)
    };
}

/// [`ApiClients`] on Postgres.
pub struct PgApiClients {
    pool: PgPool,
    sessions: Arc<PgSessions>,
}

impl PgApiClients {
    /// Credentials in this database, whose tokens are among these sessions.
    pub fn new(pool: PgPool, sessions: Arc<PgSessions>) -> Self {
        Self { pool, sessions }
    }
}

#[async_trait]
impl ApiClients for PgApiClients {
    async fn by_client_id(&self, client_id: &str) -> AppResult<Option<ApiClient>> {
        sqlx::query(select!("client_id = $1"))
            .bind(client_id)
            .try_map(|row: PgRow| api_client(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn of(&self, user: UserId) -> AppResult<Option<ApiClient>> {
        sqlx::query(select!("user_id = $1"))
            .bind(user.0)
            .try_map(|row: PgRow| api_client(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)
    }

    async fn save(&self, session: &Session, client: &ApiClient) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        sqlx::query(
            "insert into api_clients (user_id, client_id, key_prefix, key_hash, scopes, rotated_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (user_id) do update
                set client_id = excluded.client_id, key_prefix = excluded.key_prefix, key_hash = excluded.key_hash,
                    scopes = excluded.scopes, rotated_at = excluded.rotated_at",
        )
        .bind(client.user.0)
        .bind(&client.client_id)
        .bind(&client.key_prefix)
        .bind(&client.key_hash)
        .bind(client.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>())
        .bind(client.rotated_at)
        .execute(tx.conn())
        .await
        .map_err(|error| taken_or(error, "client_id_taken", "the client id is taken; try again"))?;
        let ended = sqlx::query(
            "update sessions set revoked_at = now() where user_id = $1 and kind = 'api' and revoked_at is null",
        )
        .bind(client.user.0)
        .execute(tx.conn())
        .await
        .map_err(app_error)?
        .rows_affected();
        tx.commit(AuditEntry {
            tenant: Some(client.user.0),
            actor: session.cause().actor.to_string(),
            action: "api_key.rotated",
            subject: client.client_id.clone(),
            details: json!({ "keyPrefix": client.key_prefix, "scopes": client.scopes, "tokensEnded": ended }),
        })
        .await?;
        self.sessions.forget();
        Ok(())
    }
}

fn api_client(row: &PgRow) -> sqlx::Result<ApiClient> {
    let scopes: Vec<String> = row.try_get("scopes")?;
    Ok(ApiClient {
        user: UserId(row.try_get("user_id")?),
        client_id: row.try_get("client_id")?,
        key_prefix: row.try_get("key_prefix")?,
        key_hash: row.try_get("key_hash")?,
        scopes: scopes.iter().filter_map(|word| Permission::from_word(word)).collect(),
        rotated_at: row.try_get("rotated_at")?,
    })
}
