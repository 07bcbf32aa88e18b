//! Sessions. What they allow is looked up with them, so that a change of rights counts from the next request on.

use std::time::Duration;

use application::actor::Actor;
use application::error::AppResult;
use application::identity::sessions::{NewSession, SessionKind, SessionRecord, Sessions};
use async_trait::async_trait;
use domain::access::{Access, Permission, Role};
use domain::shared::ids::{TenantId, UserId};
use domain::shared::preferences::Language;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::postgres::ttl_cache::TtlCache;

/// How long another node may take a session for good after it was revoked.
const CACHE_TTL: Duration = Duration::from_secs(4);
/// Sessions remembered.
const CACHE_ENTRIES: usize = 20_000;

/// [`Sessions`] on Postgres.
pub struct PgSessions {
    pool: PgPool,
    known: TtlCache<Uuid, SessionRecord>,
}

impl PgSessions {
    /// Sessions in this database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, known: TtlCache::new(CACHE_ENTRIES, CACHE_TTL) }
    }

    /// Remembers no session any more: somebody's rights changed.
    pub fn forget(&self) {
        self.known.clear();
    }
}

#[async_trait]
impl Sessions for PgSessions {
    async fn open(&self, session: &NewSession) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        // No session lives longer than a day: those that end two days before this one ended long ago.
        sqlx::query("delete from sessions where user_id = $1 and expires_at < $2 - interval '2 days'")
            .bind(session.user.0)
            .bind(session.expires_at)
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        let account: Option<Uuid> = sqlx::query_scalar(
            "with opened as (insert into sessions (id, user_id, kind, expires_at) values ($1, $2, $3, $4) returning user_id)
             select coalesce(u.account_id, u.id) from users u join opened o on o.user_id = u.id",
        )
        .bind(session.id)
        .bind(session.user.0)
        .bind(kind_word(session.kind))
        .bind(session.expires_at)
        .fetch_optional(tx.conn())
        .await
        .map_err(app_error)?;
        let details = json!({ "kind": kind_word(session.kind) });
        tx.commit(entry(account, session.user, "session.opened", session.id, details)).await
    }

    async fn get(&self, id: Uuid) -> AppResult<Option<SessionRecord>> {
        let load = async {
            sqlx::query(
                "select s.user_id, coalesce(u.account_id, u.id) as tenant_id, s.kind, s.expires_at, u.role,
                        not u.must_verify as verified, u.language,
                        case when s.kind = 'api' then c.scopes else u.permissions end as granted
                   from sessions s join users u on u.id = s.user_id left join api_clients c on c.user_id = u.id
                  where s.id = $1 and s.revoked_at is null and u.active",
            )
            .bind(id)
            .try_map(|row: PgRow| record(&row))
            .fetch_optional(&self.pool)
            .await
        };
        self.known.read(id, load).await.map_err(app_error)
    }

    async fn revoke(&self, id: Uuid) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let revoked: Option<(Uuid, Uuid)> = sqlx::query_as(
            "update sessions s set revoked_at = now() from users u
              where s.id = $1 and s.revoked_at is null and u.id = s.user_id
             returning u.id, coalesce(u.account_id, u.id)",
        )
        .bind(id)
        .fetch_optional(tx.conn())
        .await
        .map_err(app_error)?;
        if let Some((user, account)) = revoked {
            tx.commit(entry(Some(account), UserId(user), "session.revoked", id, json!({}))).await?;
        }
        self.known.remove(&id);
        Ok(())
    }
}

fn entry(
    account: Option<Uuid>,
    user: UserId,
    action: &'static str,
    session: Uuid,
    details: serde_json::Value,
) -> AuditEntry {
    let (actor, subject) = (Actor::User(user).to_string(), session.to_string());
    AuditEntry { tenant: account, actor, action, subject, details }
}

fn kind_word(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Session => "session",
        SessionKind::Api => "api",
    }
}

fn record(row: &PgRow) -> sqlx::Result<SessionRecord> {
    let kind = match row.try_get("kind")? {
        "api" => SessionKind::Api,
        _ => SessionKind::Session,
    };
    let role = match kind {
        SessionKind::Api => Role::Client,
        // The table's check knows these words alone.
        SessionKind::Session => Role::from_word(row.try_get("role")?).unwrap_or(Role::Employee),
    };
    let granted = row.try_get::<Option<Vec<String>>, _>("granted")?.unwrap_or_default();
    let granted = granted.iter().filter_map(|word| Permission::from_word(word)).collect();
    Ok(SessionRecord {
        user: UserId(row.try_get("user_id")?),
        tenant: TenantId(row.try_get("tenant_id")?),
        access: Access { role, granted, verified: row.try_get("verified")? },
        language: row.try_get::<Option<&str>, _>("language")?.and_then(Language::from_word),
        kind,
        expires_at: row.try_get("expires_at")?,
    })
}
