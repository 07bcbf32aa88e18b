//! Requests with an Idempotency-Key. The row is the lock: whoever inserts it, or takes it over from a process that
//! died, runs the request; everybody else is told what became of it.

use application::error::{AppError, AppResult};
use application::idempotency::{Asked, Begun, Idempotency, Kept, Keyed};
use async_trait::async_trait;
use domain::access::Permission;
use hmac::Mac;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::security::secret_box::{SecretBox, place};
use crate::security::{derive_key, hmac_sha256};

/// How long a request may run before it may be taken over: longer than any handler takes.
const LEASE: &str = "60 seconds";
/// Looks at a row that comes and goes.
const LOOKS_MAX: u32 = 5;
const KEY_LABEL: &str = "flowbot/idempotency-fingerprint/v1";

/// Keyed requests in Postgres.
pub struct PgIdempotency {
    pool: PgPool,
    secrets: SecretBox,
    fingerprint_key: [u8; 32],
}

impl PgIdempotency {
    /// Answers are sealed and requests told apart under the master key. After it was changed, a request that was sent
    /// before looks like another one.
    pub fn new(pool: PgPool, secrets: SecretBox, master: &[u8; 32]) -> Self {
        Self { pool, secrets, fingerprint_key: derive_key(master, KEY_LABEL) }
    }

    /// Keyed, because a body may hold a password, which a bare hash would give away to whoever guesses.
    fn fingerprint(&self, request: &Keyed, asked: Asked<'_>) -> Vec<u8> {
        let mut mac = hmac_sha256(&self.fingerprint_key);
        for part in [request.user.0.as_bytes(), asked.method.as_bytes(), asked.address.as_bytes(), asked.body] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }

    async fn claim(&self, request: &Keyed, fingerprint: &[u8]) -> Result<Option<Uuid>, sqlx::Error> {
        sqlx::query_scalar(
            "insert into idempotency_keys as i (tenant_id, key, fingerprint, lease, locked_until)
             values ($1, $2, $3, $4, now() + $5::interval)
             on conflict (tenant_id, key) do update set lease = excluded.lease, locked_until = excluded.locked_until
              where i.status is null and i.locked_until < now() and i.fingerprint = excluded.fingerprint
             returning lease",
        )
        .bind(request.tenant.0)
        .bind(&request.key)
        .bind(fingerprint)
        .bind(Uuid::new_v4())
        .bind(LEASE)
        .fetch_optional(&self.pool)
        .await
    }

    /// What the row says; nothing when it went away meanwhile.
    async fn look(&self, request: &Keyed, fingerprint: &[u8]) -> Result<Option<Begun>, sqlx::Error> {
        let row = sqlx::query(
            "select fingerprint, status, headers, body from idempotency_keys where tenant_id = $1 and key = $2",
        )
        .bind(request.tenant.0)
        .bind(&request.key)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<Vec<u8>, _>("fingerprint")? != fingerprint {
            return Ok(Some(Begun::Reused));
        }
        let Some(status) = row.try_get::<Option<i16>, _>("status")? else { return Ok(Some(Begun::Running)) };
        let headers = row.try_get::<Option<Json<Vec<(String, String)>>>, _>("headers")?;
        let sealed: Option<String> = row.try_get("body")?;
        let body = sealed.and_then(|sealed| {
            let opened = self.secrets.open(&sealed, &sealed_for(request, status.unsigned_abs()));
            opened.inspect_err(|error| tracing::info!(%error, "A kept answer is not for these rights, or damaged")).ok()
        });
        Ok(Some(match body {
            Some(body) => Begun::Answered(Kept {
                status: status.unsigned_abs(),
                headers: headers.map(|it| it.0).unwrap_or_default(),
                body,
            }),
            None => Begun::AnswerGone,
        }))
    }
}

/// What an answer is sealed for: its key, and, unless it is a refusal, what the caller might do when it was given.
fn sealed_for(request: &Keyed, status: u16) -> String {
    let key = format!("{}/{}", place(request.tenant, "idempotency_keys.body"), request.key);
    if status >= 400 {
        return key;
    }
    let held: Vec<&str> = request.access.held().into_iter().map(Permission::as_str).collect();
    format!("{key}/{}:{}", request.access.role, held.join(","))
}

#[async_trait]
impl Idempotency for PgIdempotency {
    async fn begin(&self, request: &Keyed, asked: Asked<'_>) -> AppResult<Begun> {
        let fingerprint = self.fingerprint(request, asked);
        for _ in 0..LOOKS_MAX {
            if let Some(lease) = self.claim(request, &fingerprint).await.map_err(app_error)? {
                return Ok(Begun::Ours(lease));
            }
            if let Some(begun) = self.look(request, &fingerprint).await.map_err(app_error)? {
                return Ok(begun);
            }
        }
        Ok(Begun::Running)
    }

    async fn keep(&self, request: &Keyed, lease: Uuid, answer: &Kept) -> AppResult<()> {
        let body = self.secrets.seal(&answer.body, &sealed_for(request, answer.status)).map_err(AppError::internal)?;
        let headers: Value = serde_json::to_value(&answer.headers).map_err(AppError::internal)?;
        sqlx::query(
            "update idempotency_keys set status = $4, headers = $5, body = $6 where tenant_id = $1 and key = $2 and lease = $3",
        )
        .bind(request.tenant.0)
        .bind(&request.key)
        .bind(lease)
        .bind(i16::try_from(answer.status).map_err(AppError::internal)?)
        .bind(headers)
        .bind(body)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(app_error)
    }

    async fn forget(&self, request: &Keyed, lease: Uuid) -> AppResult<()> {
        sqlx::query("delete from idempotency_keys where tenant_id = $1 and key = $2 and lease = $3")
            .bind(request.tenant.0)
            .bind(&request.key)
            .bind(lease)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(app_error)
    }
}
