//! Sessions. What they allow is looked up with them, so that a change of rights counts from the next request on.

mod row;

use std::time::Duration;

use application::actor::{Actor, Session};
use application::error::AppResult;
use application::identity::sessions::{NOTED_EVERY, NewSession, Proof, SessionRecord, SessionView, Sessions};
use application::page::{Cursor, LIMIT_MAX, Page, PageRequest};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::{TenantId, UserId};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool};
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
    async fn open(&self, session: &NewSession) -> AppResult<Option<TenantId>> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let Some(account) = still_good(tx.conn(), session).await? else { return Ok(None) };
        sqlx::query("delete from sessions where user_id = $1 and expires_at < $2 - interval '1 day'")
            .bind(session.user.0)
            .bind(session.opened_at)
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        sqlx::query(
            "insert into sessions (id, user_id, kind, created_at, last_used_at, expires_at, user_agent, address)
             values ($1, $2, $3, $4, $4, $5, $6, $7)",
        )
        .bind(session.id)
        .bind(session.user.0)
        .bind(row::kind_word(session.kind))
        .bind(session.opened_at)
        .bind(session.expires_at)
        .bind(&session.origin.user_agent)
        .bind(&session.origin.address)
        .execute(tx.conn())
        .await
        .map_err(app_error)?;
        let details = json!({ "kind": row::kind_word(session.kind), "address": session.origin.address });
        tx.commit(entry(account, session.user, "session.opened", session.id, details)).await?;
        Ok(Some(TenantId(account)))
    }

    async fn get(&self, id: Uuid) -> AppResult<Option<SessionRecord>> {
        let load = async {
            sqlx::query(
                "select s.user_id, coalesce(u.account_id, u.id) as tenant_id, s.kind, s.created_at, s.last_used_at,
                        s.expires_at, u.role, not u.must_verify as verified, u.language,
                        case when s.kind = 'api' then c.scopes else u.permissions end as granted
                   from sessions s join users u on u.id = s.user_id left join api_clients c on c.user_id = u.id
                  where s.id = $1 and s.revoked_at is null and u.active",
            )
            .bind(id)
            .try_map(|found: PgRow| row::record(&found))
            .fetch_optional(&self.pool)
            .await
        };
        self.known.read(id, load).await.map_err(app_error)
    }

    /// Without an audit entry: nobody changed anything.
    async fn note_use(&self, id: Uuid, used_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> AppResult<bool> {
        let noted = sqlx::query(
            "update sessions set last_used_at = $2, expires_at = greatest(expires_at, $3)
              where id = $1 and revoked_at is null and expires_at > $2 and last_used_at <= $4",
        )
        .bind(id)
        .bind(used_at)
        .bind(expires_at)
        .bind(used_at - NOTED_EVERY)
        .execute(&self.pool)
        .await
        .map_err(app_error)?;
        self.known.remove(&id);
        Ok(noted.rows_affected() == 1)
    }

    async fn of(&self, session: &Session, now: DateTime<Utc>, page: &PageRequest) -> AppResult<Page<SessionView>> {
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (after_at, after_id) = page.after.as_ref().map(row::place).transpose()?.unzip();
        let mut rows = sqlx::query(
            "select id, kind, created_at, last_used_at, expires_at, user_agent, address, id = $2 as current
               from sessions
              where user_id = $1 and revoked_at is null and expires_at > $3
                and ($4::timestamptz is null or (created_at, id) < ($4, $5))
              order by created_at desc, id desc limit $6",
        )
        .bind(session.user.0)
        .bind(session.id)
        .bind(now)
        .bind(after_at)
        .bind(after_id)
        .bind(i64::from(limit) + 1)
        .try_map(|found: PgRow| row::view(&found))
        .fetch_all(&self.pool)
        .await
        .map_err(app_error)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| Cursor { sort: last.created_at.0.timestamp_micros().to_string(), key: last.id.to_string() });
        Ok(Page { rows, next, total: None })
    }

    async fn revoke(&self, id: Uuid) -> AppResult<()> {
        self.end_one(id, None).await.map(drop)
    }

    async fn end(&self, session: &Session, id: Uuid) -> AppResult<bool> {
        self.end_one(id, Some(session.user)).await
    }

    async fn end_others(&self, session: &Session) -> AppResult<()> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let ended: Vec<Uuid> = sqlx::query_scalar(
            "update sessions set revoked_at = now()
              where user_id = $1 and id <> $2 and revoked_at is null and expires_at > now() returning id",
        )
        .bind(session.user.0)
        .bind(session.id)
        .fetch_all(tx.conn())
        .await
        .map_err(app_error)?;
        if !ended.is_empty() {
            let details = json!({ "ended": ended });
            tx.commit(entry(session.tenant.0, session.user, "sessions.revoked", session.id, details)).await?;
        }
        self.forget();
        Ok(())
    }
}

impl PgSessions {
    /// Ends a session, of this person if one is named; whether there was one.
    async fn end_one(&self, id: Uuid, owner: Option<UserId>) -> AppResult<bool> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        let revoked: Option<(Uuid, Uuid)> = sqlx::query_as(
            "update sessions s set revoked_at = now() from users u
              where s.id = $1 and s.revoked_at is null and u.id = s.user_id and ($2::uuid is null or u.id = $2)
             returning u.id, coalesce(u.account_id, u.id)",
        )
        .bind(id)
        .bind(owner.map(|it| it.0))
        .fetch_optional(tx.conn())
        .await
        .map_err(app_error)?;
        if let Some((user, account)) = revoked {
            tx.commit(entry(account, UserId(user), "session.revoked", id, json!({}))).await?;
        }
        self.known.remove(&id);
        Ok(revoked.is_some())
    }
}

/// The account of who opens a session, if what proves it is so still. The rows it hangs on stay as they are until the
/// session is stored: whoever changes a password or a key meanwhile waits, and then ends this session too.
async fn still_good(conn: &mut PgConnection, session: &NewSession) -> AppResult<Option<Uuid>> {
    let (password, key) = match &session.proof {
        Proof::Password(hash) => (Some(hash), None),
        Proof::Key(hash) => (None, Some(hash)),
        Proof::Other => (None, None),
    };
    if let Some(hash) = key {
        let kept = sqlx::query("select from api_clients where user_id = $1 and key_hash = $2 for share")
            .bind(session.user.0)
            .bind(hash)
            .fetch_optional(&mut *conn)
            .await
            .map_err(app_error)?;
        if kept.is_none() {
            return Ok(None);
        }
    }
    sqlx::query_scalar(
        "select coalesce(account_id, id) from users
          where id = $1 and active and ($2::text is null or password_hash = $2) for share",
    )
    .bind(session.user.0)
    .bind(password)
    .fetch_optional(conn)
    .await
    .map_err(app_error)
}

fn entry(account: Uuid, user: UserId, action: &'static str, session: Uuid, details: serde_json::Value) -> AuditEntry {
    let (actor, subject) = (Actor::User(user).to_string(), session.to_string());
    AuditEntry { tenant: Some(account), actor, action, subject, details }
}
