//! What is counted of a WhatsApp Business Account across nodes: submissions, calls to Meta, and whose turn its sync is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, Instant};

use application::error::AppResult;
use application::templates::ports::{CreationAllowance, SyncGate, SyncTurn, Turn};
use application::templates::sync::AccountReport;
use async_trait::async_trait;
use domain::shared::ids::TenantId;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use crate::postgres::app_error;

/// Templates an account may submit in an hour (Meta, templates/overview).
const CREATIONS_MAX: i64 = 100;
/// Calls to the management API of the hour from which on a sync is left out: four fifths of what Meta allows a
/// business account with a registered number (Meta, about-the-platform).
const CALLS_NEAR: i32 = 4_000;
/// How much of its quota Meta says is used, in percent, from which on a sync is left out.
const USAGE_NEAR: i16 = 80;
/// How long what Meta said of its quota is believed at least, in minutes: without a call it would never be told anew.
const USAGE_MINUTES_MIN: i32 = 5;
/// How long what came of a sync answers for the next one.
const FRESH: &str = "2 seconds";
/// How long a turn is held at most.
const HELD: &str = "60 seconds";
/// How long somebody waits for another's turn to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often another node's turn is looked at.
const LOOK: Duration = Duration::from_millis(50);

type Key = (TenantId, String);

/// How much of its quota Meta says is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// In percent.
    pub percent: i16,
    /// Minutes until there is some again.
    pub regain_minutes: i32,
}

/// The counters in Postgres.
pub struct PgTemplateAccounts {
    pool: PgPool,
    node: Uuid,
    local: SyncMutex<HashMap<Key, Arc<Mutex<()>>>>,
}

impl PgTemplateAccounts {
    /// The counters as this node keeps them.
    pub fn new(pool: PgPool, node: Uuid) -> Self {
        Self { pool, node, local: SyncMutex::default() }
    }

    /// A call to the management API was made.
    ///
    /// # Errors
    /// The database.
    pub async fn called(&self, tenant: TenantId, waba_id: &str, usage: Option<Usage>) -> AppResult<()> {
        sqlx::query(
            "insert into template_accounts as a (tenant_id, waba_id, calls) values ($1, $2, 1)
             on conflict (tenant_id, waba_id) do update set
                calls = case when a.calls_since < now() - interval '1 hour' then 1 else a.calls + 1 end,
                calls_since = case when a.calls_since < now() - interval '1 hour' then now() else a.calls_since end",
        )
        .bind(tenant.0)
        .bind(waba_id)
        .execute(&self.pool)
        .await
        .map_err(app_error)?;
        let Some(usage) = usage else { return Ok(()) };
        sqlx::query(
            "update template_accounts set usage_percent = $3, usage_until = now() + interval '1 minute' * $4
              where tenant_id = $1 and waba_id = $2",
        )
        .bind(tenant.0)
        .bind(waba_id)
        .bind(usage.percent)
        .bind(usage.regain_minutes.max(USAGE_MINUTES_MIN))
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(app_error)
    }

    async fn begin(&self, tenant: TenantId, waba_id: &str) -> AppResult<()> {
        let row =
            sqlx::query("insert into template_accounts (tenant_id, waba_id) values ($1, $2) on conflict do nothing");
        row.bind(tenant.0).bind(waba_id).execute(&self.pool).await.map(drop).map_err(app_error)
    }

    fn slot(&self, key: &Key) -> Arc<Mutex<()>> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        local.retain(|known, slot| known == key || Arc::strong_count(slot) > 1);
        Arc::clone(local.entry(key.clone()).or_default())
    }

    /// One look: a turn, what came of the last one, or neither.
    async fn look(&self, tenant: TenantId, waba_id: &str) -> AppResult<Look> {
        let statement = format!(
            "with free as (
                update template_accounts set sync_node = $3, sync_until = now() + interval '{HELD}'
                 where tenant_id = $1 and waba_id = $2
                   and (attempted_at is null or attempted_at < now() - interval '{FRESH}')
                   and (sync_until is null or sync_until < now() or sync_node = $3)
                   and not ((usage_percent >= $4 and usage_until > now())
                            or (calls >= $5 and calls_since > now() - interval '1 hour'))
                returning 1)
             select exists (select from free) as ours, report,
                    coalesce(attempted_at >= now() - interval '{FRESH}', false) as fresh,
                    (usage_percent >= $4 and usage_until > now())
                        or (calls >= $5 and calls_since > now() - interval '1 hour') as near
               from template_accounts where tenant_id = $1 and waba_id = $2"
        );
        let row = sqlx::query(&statement)
            .bind(tenant.0)
            .bind(waba_id)
            .bind(self.node)
            .bind(USAGE_NEAR)
            .bind(CALLS_NEAR)
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        let flag = |name: &str| row.try_get::<bool, _>(name).map_err(app_error);
        if flag("ours")? {
            return Ok(Look::Ours);
        }
        if flag("near")? {
            return Ok(Look::Near);
        }
        let report = row.try_get::<Option<Json<AccountReport>>, _>("report").map_err(app_error)?;
        Ok(match report {
            Some(Json(report)) if flag("fresh")? => Look::Recent(report),
            Some(_) | None => Look::Theirs,
        })
    }
}

enum Look {
    Ours,
    Recent(AccountReport),
    Near,
    Theirs,
}

/// A turn this node holds.
struct PgTurn {
    pool: PgPool,
    key: Key,
    node: Uuid,
    _local: OwnedMutexGuard<()>,
}

#[async_trait]
impl SyncTurn for PgTurn {
    async fn finish(self: Box<Self>, report: &AccountReport) -> AppResult<()> {
        sqlx::query(
            "update template_accounts set sync_node = null, sync_until = null, attempted_at = now(), report = $4
              where tenant_id = $1 and waba_id = $2 and sync_node = $3",
        )
        .bind(self.key.0.0)
        .bind(&self.key.1)
        .bind(self.node)
        .bind(Json(report))
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(app_error)
    }
}

#[async_trait]
impl SyncGate for PgTemplateAccounts {
    async fn enter(&self, tenant: TenantId, waba_id: &str) -> AppResult<Turn> {
        const UNDER_WAY: &str = "another sync is still under way";
        let (began, key) = (Instant::now(), (tenant, waba_id.to_owned()));
        // Whoever waits here finds what came of the turn before, once it ends.
        let Ok(local) = tokio::time::timeout(PATIENCE, self.slot(&key).lock_owned()).await else {
            return Ok(Turn::Nobody(UNDER_WAY));
        };
        self.begin(tenant, waba_id).await?;
        loop {
            match self.look(tenant, waba_id).await? {
                Look::Ours => {
                    let turn = PgTurn { pool: self.pool.clone(), key, node: self.node, _local: local };
                    return Ok(Turn::Ours(Box::new(turn)));
                }
                Look::Recent(report) => return Ok(Turn::Recent(report)),
                Look::Near => return Ok(Turn::Nobody("Meta's quota for this business account is nearly used up")),
                Look::Theirs if began.elapsed() >= PATIENCE => return Ok(Turn::Nobody(UNDER_WAY)),
                Look::Theirs => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

#[async_trait]
impl CreationAllowance for PgTemplateAccounts {
    async fn take(&self, tenant: TenantId, waba_id: &str) -> AppResult<Result<(), u64>> {
        self.begin(tenant, waba_id).await?;
        let taken = sqlx::query(
            "update template_accounts a
                set creations = array(select t from unnest(a.creations) t where t > now() - interval '1 hour' order by t) || now()
              where tenant_id = $1 and waba_id = $2
                and (select count(*) from unnest(a.creations) t where t > now() - interval '1 hour') < $3",
        )
        .bind(tenant.0)
        .bind(waba_id)
        .bind(CREATIONS_MAX)
        .execute(&self.pool)
        .await
        .map_err(app_error)?;
        if taken.rows_affected() > 0 {
            return Ok(Ok(()));
        }
        let wait: Option<f64> = sqlx::query_scalar(
            "select extract(epoch from min(t) + interval '1 hour' - now())::float8
               from template_accounts a, unnest(a.creations) t
              where tenant_id = $1 and waba_id = $2 and t > now() - interval '1 hour'",
        )
        .bind(tenant.0)
        .bind(waba_id)
        .fetch_one(&self.pool)
        .await
        .map_err(app_error)?;
        Ok(Err(wait.unwrap_or_default().max(1.0).ceil() as u64))
    }

    async fn give_back(&self, tenant: TenantId, waba_id: &str) -> AppResult<()> {
        sqlx::query(
            "update template_accounts set creations = creations[1:cardinality(creations) - 1]
              where tenant_id = $1 and waba_id = $2",
        )
        .bind(tenant.0)
        .bind(waba_id)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(app_error)
    }
}
