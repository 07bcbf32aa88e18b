//! `/readyz` and `/metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{IntoResponse, Response, handler};
use serde_json::json;
use sqlx::{PgPool, Row};

/// Seconds a projection may lie behind on a node that is ready.
const LAG_SECONDS_MAX: f64 = 30.0;

/// One recorder a process.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .install_recorder()
            .unwrap_or_else(|_| PrometheusBuilder::new().build_recorder().handle())
    })
}

/// A projection and how far it lies behind.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionState {
    /// Its name.
    pub name: String,
    /// `running` or `halted`.
    pub status: String,
    /// Its generation.
    pub generation: i32,
    /// Events it has not taken in.
    pub lag_events: i64,
    /// The age of the oldest of them, in seconds.
    pub lag_seconds: f64,
    /// Why it halted.
    pub error: Option<String>,
}

/// Every projection's state.
///
/// # Errors
/// The database.
pub async fn projection_states(pool: &PgPool) -> Result<Vec<ProjectionState>, sqlx::Error> {
    let rows = sqlx::query(
        "select p.name, p.status, p.generation, p.error, lag.events, coalesce(lag.seconds, 0)::float8 as seconds
           from projections p, lateral (
                select count(*) as events, extract(epoch from clock_timestamp() - min(e.recorded_at)) as seconds
                  from events e
                 where (e.log_epoch, e.transaction_id, e.global_position) > (p.log_epoch, p.transaction_id, p.position)) lag
          order by p.name",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ProjectionState {
                name: row.try_get("name")?,
                status: row.try_get("status")?,
                generation: row.try_get("generation")?,
                lag_events: row.try_get("events")?,
                lag_seconds: row.try_get("seconds")?,
                error: row.try_get("error")?,
            })
        })
        .collect()
}

/// Ready: the database answers and no projection lies far behind or is halted.
#[handler]
pub async fn readyz(pool: Data<&PgPool>) -> Response {
    match projection_states(pool.0).await {
        Ok(projections) => {
            let ready = projections.iter().all(|it| it.status == "running" && it.lag_seconds <= LAG_SECONDS_MAX);
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            Json(json!({ "ready": ready, "projections": projections })).with_status(status).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "Not ready");
            let body = json!({ "error": "the database cannot be reached", "code": "unavailable", "ready": false });
            Json(body).with_status(StatusCode::SERVICE_UNAVAILABLE).with_header("Retry-After", "1").into_response()
        }
    }
}

/// Prometheus text.
#[handler]
pub async fn prometheus(pool: Data<&PgPool>) -> String {
    if let Ok(states) = projection_states(pool.0).await {
        for state in states {
            metrics::gauge!("projection_lag_events", "projection" => state.name.clone()).set(state.lag_events as f64);
            metrics::gauge!("projection_lag_seconds", "projection" => state.name).set(state.lag_seconds);
        }
    }
    if let Ok(mut connection) = pool.0.acquire().await
        && let Ok(age) = infrastructure::event_store::log_reader::horizon_age(&mut connection).await
    {
        metrics::gauge!("es_horizon_age_seconds").set(age);
    }
    recorder().render()
}
