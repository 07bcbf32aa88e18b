//! What administrators ask for: rows change here, and whoever carries generations on does the rest.

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::projections::{ProjectionView, Projections};
use async_trait::async_trait;
use sqlx::PgPool;

use crate::event_store::projector::Projection;
use crate::event_store::rebuild::{begin, listing};
use crate::postgres::app_error;

/// Projections in Postgres.
pub struct PgProjections {
    pool: PgPool,
    projections: Vec<Arc<dyn Projection>>,
}

impl PgProjections {
    /// These.
    pub fn new(pool: PgPool, projections: Vec<Arc<dyn Projection>>) -> Self {
        Self { pool, projections }
    }

    fn known(&self, name: &str) -> AppResult<&dyn Projection> {
        let found = self.projections.iter().find(|projection| projection.name() == name);
        found.map(|projection| &**projection).ok_or(AppError::NotFound("projection"))
    }

    /// Changes the projection's rows; a conflict when none is in a state for it.
    async fn change(&self, name: &str, update: &str, code: &'static str, message: &str) -> AppResult<ProjectionView> {
        self.known(name)?;
        let changed = sqlx::query(update).bind(name).execute(&self.pool).await.map_err(app_error)?;
        if changed.rows_affected() == 0 {
            return Err(AppError::Conflict { code, message: message.to_owned() });
        }
        self.one(name).await
    }
}

#[async_trait]
impl Projections for PgProjections {
    async fn list(&self) -> AppResult<Vec<ProjectionView>> {
        listing::list(&self.pool, None).await.map_err(app_error)
    }

    async fn one(&self, name: &str) -> AppResult<ProjectionView> {
        self.known(name)?;
        let found = listing::list(&self.pool, Some(name)).await.map_err(app_error)?;
        found.into_iter().next().ok_or(AppError::NotFound("projection"))
    }

    async fn rebuild(&self, name: &str, confirm: bool) -> AppResult<ProjectionView> {
        begin::begin(&self.pool, self.known(name)?, confirm).await?;
        self.one(name).await
    }

    async fn cancel(&self, name: &str) -> AppResult<ProjectionView> {
        let update = "update projections set status = 'paused', updated_at = clock_timestamp()
                       where name = $1 and role = 'building' and status = 'running'";
        self.change(name, update, "not_rebuilding", "no rebuild is under way").await
    }

    async fn resume(&self, name: &str) -> AppResult<ProjectionView> {
        // A build that was compared waits to be confirmed; a live generation is retried when no build has stopped.
        let update = "update projections set status = 'running', error = null, updated_at = clock_timestamp(),
                             phase = case when phase = 'comparing' and differences is not null then 'swapping' else phase end
                       where name = $1 and status <> 'running'
                         and role = (select role from projections where name = $1 and status <> 'running' order by role limit 1)";
        self.change(name, update, "not_stopped", "nothing is paused or halted").await
    }

    async fn rollback(&self, name: &str) -> AppResult<ProjectionView> {
        let update = "update projections set phase = 'swapping', started_at = now()
                       where name = $1 and role = 'former' and status = 'running' and phase is null
                         and not exists (select from projections where name = $1 and role = 'building' and status = 'running')";
        let why = "there is no former generation that runs, or a rebuild is under way";
        self.change(name, update, "no_former_generation", why).await
    }
}
