//! The generations of the key that signs tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use application::actor::Session;
use application::error::AppResult;
use application::identity::signing_keys::{GOOD_FOR, SigningKeyView, SigningKeys};
use application::time::Stamp;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::postgres::app_error;
use crate::postgres::audited::{AuditEntry, AuditedTx};
use crate::security::jwt::keys::{KeySet, kid};

/// How long a node may sign with a key after another node made a new one.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// Held while a key is made.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('flowbot/signing-keys', 0))";

type Row = (i64, DateTime<Utc>, Option<DateTime<Utc>>);

/// [`SigningKeys`] on Postgres, with the keys themselves.
pub struct PgSigningKeys {
    pool: PgPool,
    master: [u8; 32],
    former: Option<[u8; 32]>,
    known: Mutex<Option<(Instant, Arc<KeySet>)>>,
}

impl PgSigningKeys {
    /// Keys under the master key, and under the one before it.
    pub fn new(pool: PgPool, master: [u8; 32], former: Option<[u8; 32]>) -> Self {
        Self { pool, master, former, known: Mutex::default() }
    }

    /// The keys that are good now. Known ones do while the database cannot be reached.
    ///
    /// # Errors
    /// They were never read and cannot be.
    pub async fn set(&self, now: DateTime<Utc>) -> AppResult<Arc<KeySet>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, set)) = known.as_ref().filter(|(read_at, _)| read_at.elapsed() < KNOWN_FOR) {
            return Ok(Arc::clone(set));
        }
        let read = async {
            let mut conn = self.pool.acquire().await.map_err(app_error)?;
            good(&mut conn, now).await
        };
        match (read.await, known) {
            (Ok(rows), _) => Ok(self.keep(&rows)),
            (Err(_), Some((_, set))) => Ok(set),
            (Err(error), None) => Err(error),
        }
    }

    fn keep(&self, rows: &[Row]) -> Arc<KeySet> {
        let generations: Vec<i64> = rows.iter().map(|(generation, ..)| *generation).collect();
        let set = Arc::new(KeySet::new(&self.master, self.former.as_ref(), &generations));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&set)));
        set
    }

    fn views(&self, rows: &[Row]) -> Vec<SigningKeyView> {
        let view = |(generation, created_at, retired_at): &Row| SigningKeyView {
            kid: kid(&self.master, *generation),
            generation: *generation,
            current: retired_at.is_none(),
            created_at: Stamp(*created_at),
            good_until: retired_at.map(|at| Stamp(at + GOOD_FOR)),
        };
        rows.iter().rev().map(view).collect()
    }
}

#[async_trait]
impl SigningKeys for PgSigningKeys {
    async fn list(&self, now: DateTime<Utc>) -> AppResult<Vec<SigningKeyView>> {
        let mut conn = self.pool.acquire().await.map_err(app_error)?;
        Ok(self.views(&good(&mut conn, now).await?))
    }

    async fn rotate(&self, session: &Session, now: DateTime<Utc>) -> AppResult<Vec<SigningKeyView>> {
        let mut tx = AuditedTx::begin(&self.pool).await?;
        sqlx::query(LOCK).execute(tx.conn()).await.map_err(app_error)?;
        sqlx::query("update signing_keys set retired_at = $1 where retired_at is null")
            .bind(now)
            .execute(tx.conn())
            .await
            .map_err(app_error)?;
        let made: i64 = sqlx::query_scalar(
            "insert into signing_keys (generation, created_at)
             select coalesce(max(generation), 0) + 1, $1 from signing_keys returning generation",
        )
        .bind(now)
        .fetch_one(tx.conn())
        .await
        .map_err(app_error)?;
        let rows = good(tx.conn(), now).await?;
        tx.commit(AuditEntry {
            tenant: Some(session.tenant.0),
            actor: session.cause().actor.to_string(),
            action: "signing_key.rotated",
            subject: kid(&self.master, made),
            details: json!({ "generation": made }),
        })
        .await?;
        self.keep(&rows);
        Ok(self.views(&rows))
    }
}

/// Those whose tokens are taken, the oldest first.
async fn good(conn: &mut PgConnection, now: DateTime<Utc>) -> AppResult<Vec<Row>> {
    sqlx::query_as(
        "select generation, created_at, retired_at from signing_keys
          where retired_at is null or retired_at > $1 order by generation",
    )
    .bind(now - GOOD_FOR)
    .fetch_all(conn)
    .await
    .map_err(app_error)
}
