//! The graphs that run, parsed once and shared.

use std::sync::Arc;
use std::time::Duration;

use application::error::{AppError, AppResult};
use application::flows::ports::FlowLibrary;
use async_trait::async_trait;
use cqrs_es::Aggregate;
use domain::conversation::command::PublishedFlow;
use domain::flow::Flow;
use domain::flow::event::FlowEvent;
use domain::shared::ids::{FlowId, StreamId, TenantId};
use serde_json::Value;
use sqlx::{PgPool, Row};
use tokio::sync::Mutex;

use crate::postgres::ttl_cache::TtlCache;
use crate::postgres::{Remembers, app_error};

/// How long a change made through another node may go unseen.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long what does not change is kept.
const KEEP: Duration = Duration::from_secs(3600);
/// How long an owner is known for after the flow was deleted through another node.
const OWNER_TTL: Duration = Duration::from_secs(10);
/// Accounts whose flows are remembered.
const ACCOUNTS_MAX: usize = 10_000;
/// Versions remembered.
const VERSIONS_MAX: usize = 1_000;
/// Owners remembered.
const OWNERS_MAX: usize = 10_000;
/// Accounts that are looked up at once: callers of one account wait for each other instead of all asking.
const LANES: usize = 32;

/// Changes whenever a row of the account does, and when the account is closed: nothing of it runs then. Reads no documents: they can be large.
const STAMP: &str = "select md5(coalesce(string_agg(key || ':' || xmin::text, ',' order by key), ''))
   from flow_view where tenant_id = $1 and not exists (select from users u where u.id = $1 and u.deleted_at is not null)";

const ACTIVE: &str = "select f.key::uuid as id, f.body ->> 'name' as name, (f.body ->> 'version')::bigint as version,
        v.body -> 'drawflowData' as drawflow
   from flow_view f
   left join flow_version_view v on v.tenant_id = f.tenant_id and v.key = f.key || '/' || (f.body ->> 'version')
  where f.tenant_id = $1 and f.status = 'active' and f.body ->> 'version' <> '0'
    and not exists (select from users u where u.id = $1 and u.deleted_at is not null)
  order by f.created_at, f.key";

const VERSION: &str = "select (select body ->> 'name' from flow_view where tenant_id = $1 and key = $2) as name,
        (select body -> 'drawflowData' from flow_version_view where tenant_id = $1 and key = $3) as drawflow";

const PUBLISHED: &str = "select payload from events
  where aggregate_type = $1 and aggregate_id = $2 and event_type = 'flow.version_published' and payload ->> 'version' = $3
  order by sequence desc limit 1";

const OWNER: &str = "select f.tenant_id from flow_view f
  where f.key = $1 and not exists (select from users u where u.id = f.tenant_id and u.deleted_at is not null)";

type Active = Arc<[PublishedFlow]>;

/// [`FlowLibrary`] on Postgres.
pub struct PgFlowLibrary {
    pool: PgPool,
    /// Looked at a moment ago.
    fresh: TtlCache<TenantId, Active>,
    /// As of a stamp.
    loaded: TtlCache<TenantId, (Arc<str>, Active)>,
    versions: TtlCache<(TenantId, FlowId, u32), PublishedFlow>,
    owners: TtlCache<FlowId, TenantId>,
    lanes: [Mutex<()>; LANES],
}

impl PgFlowLibrary {
    /// Flows in this database.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            fresh: TtlCache::new(ACCOUNTS_MAX, CHECK_EVERY),
            loaded: TtlCache::new(ACCOUNTS_MAX, KEEP),
            versions: TtlCache::new(VERSIONS_MAX, KEEP),
            owners: TtlCache::new(OWNERS_MAX, OWNER_TTL),
            lanes: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// What is active, by the stamp. The stamp is read first: what changes after it is seen at the next look.
    async fn look(&self, tenant: TenantId) -> AppResult<Active> {
        let stamp: String = sqlx::query_scalar(STAMP).bind(tenant.0).fetch_one(&self.pool).await.map_err(app_error)?;
        if let Some((known, active)) = self.loaded.get(&tenant)
            && *known == *stamp
        {
            return Ok(active);
        }
        let before = self.loaded.epoch();
        let active = self.load(tenant).await?;
        self.loaded.put(before, tenant, (stamp.into(), Arc::clone(&active)));
        Ok(active)
    }

    async fn load(&self, tenant: TenantId) -> AppResult<Active> {
        let rows = sqlx::query(ACTIVE).bind(tenant.0).fetch_all(&self.pool).await.map_err(app_error)?;
        let mut active = Vec::with_capacity(rows.len());
        for row in rows {
            let id = FlowId(row.try_get("id").map_err(app_error)?);
            let name: String = row.try_get("name").map_err(app_error)?;
            let version = row.try_get::<i64, _>("version").map_err(app_error)?;
            let version = u32::try_from(version).map_err(AppError::internal)?;
            let drawflow: Option<Value> = row.try_get("drawflow").map_err(app_error)?;
            let flow = match self.versions.get(&(tenant, id, version)) {
                Some(known) => Some(PublishedFlow { name: name.into(), ..known }),
                None => self.parse(tenant, id, version, name, drawflow).await?,
            };
            active.extend(flow);
        }
        Ok(active.into())
    }

    /// A flow that runs; `None` for a version that is not there or no longer reads.
    async fn parse(
        &self,
        tenant: TenantId,
        flow_id: FlowId,
        version: u32,
        name: String,
        drawflow: Option<Value>,
    ) -> AppResult<Option<PublishedFlow>> {
        let drawflow = match drawflow {
            Some(drawflow) => drawflow,
            // The read models lag behind the log, each by its own time.
            None => match self.published(tenant, flow_id, version).await? {
                Some(drawflow) => drawflow,
                None => return Ok(None),
            },
        };
        let flow = match PublishedFlow::read(flow_id, name.into(), version, &drawflow) {
            Ok(flow) => flow,
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(tenant = %tenant, flow = %flow_id, version, "A published flow no longer reads: {problem}");
                return Ok(None);
            }
        };
        self.versions.put(self.versions.epoch(), (tenant, flow_id, version), flow.clone());
        Ok(Some(flow))
    }

    /// A version as the log has it.
    async fn published(&self, tenant: TenantId, flow: FlowId, version: u32) -> AppResult<Option<Value>> {
        let payload: Option<Value> = sqlx::query_scalar(PUBLISHED)
            .bind(Flow::TYPE)
            .bind(StreamId::new(tenant, flow.0).to_string())
            .bind(version.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(app_error)?;
        match payload.map(serde_json::from_value).transpose().map_err(AppError::internal)? {
            Some(FlowEvent::VersionPublished { drawflow, .. }) => Ok(Some(drawflow)),
            _ => Ok(None),
        }
    }

    fn lane(&self, tenant: TenantId) -> &Mutex<()> {
        let [.., last] = *tenant.0.as_bytes();
        &self.lanes[usize::from(last) % LANES]
    }
}

impl Remembers for PgFlowLibrary {
    fn forget_all(&self) {
        self.fresh.clear();
        self.loaded.clear();
        self.owners.clear();
    }
}

#[async_trait]
impl FlowLibrary for PgFlowLibrary {
    async fn active(&self, tenant: TenantId) -> AppResult<Active> {
        if let Some(active) = self.fresh.get(&tenant) {
            return Ok(active);
        }
        let _lane = self.lane(tenant).lock().await;
        let load = async { self.look(tenant).await.map(Some) };
        Ok(self.fresh.read(tenant, load).await?.unwrap_or_default())
    }

    async fn version(&self, tenant: TenantId, flow: FlowId, version: u32) -> AppResult<Option<PublishedFlow>> {
        if let Some(known) = self.versions.get(&(tenant, flow, version)) {
            return Ok(Some(known));
        }
        let (name, drawflow): (Option<String>, Option<Value>) = sqlx::query_as(VERSION)
            .bind(tenant.0)
            .bind(flow.to_string())
            .bind(format!("{flow}/{version}"))
            .fetch_one(&self.pool)
            .await
            .map_err(app_error)?;
        self.parse(tenant, flow, version, name.unwrap_or_default(), drawflow).await
    }

    fn forget(&self, tenant: TenantId) {
        self.fresh.remove(&tenant);
        self.loaded.remove(&tenant);
        self.owners.clear();
    }

    async fn owner(&self, flow: FlowId) -> AppResult<Option<TenantId>> {
        let load = async {
            let query = sqlx::query_scalar(OWNER).bind(flow.to_string());
            Ok::<_, AppError>(query.fetch_optional(&self.pool).await.map_err(app_error)?.map(TenantId))
        };
        self.owners.read(flow, load).await
    }
}
