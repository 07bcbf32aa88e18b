//! `/readyz` and `/metrics`.

use std::sync::OnceLock;

use infrastructure::event_store::log_reader::horizon_age;
use infrastructure::event_store::rebuild::listing;
use infrastructure::postgres::incidents;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{IntoResponse, Response, handler};
use serde_json::json;
use sqlx::PgPool;

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

/// Ready: the database answers and no projection lies far behind or is halted.
#[handler]
pub async fn readyz(pool: Data<&PgPool>) -> Response {
    match listing::live(pool.0, None).await {
        Ok(projections) => {
            let ready = projections.iter().all(|it| it.status == "running" && it.lag_seconds <= LAG_SECONDS_MAX);
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            // Anybody may ask: no more than this is told.
            let shown = projections.iter().map(|it| {
                json!({ "name": it.name, "status": it.status, "generation": it.generation, "lagEvents": it.lag_events,
                        "lagSeconds": it.lag_seconds, "error": it.error })
            });
            let shown: Vec<_> = shown.collect();
            Json(json!({ "ready": ready, "projections": shown })).with_status(status).into_response()
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
    if let Ok(states) = listing::live(pool.0, None).await {
        for state in states {
            metrics::gauge!("projection_lag_events", "projection" => state.name.clone()).set(state.lag_events as f64);
            metrics::gauge!("projection_lag_seconds", "projection" => state.name).set(state.lag_seconds);
        }
    }
    if let Ok(mut connection) = pool.0.acquire().await
        && let Ok(age) = horizon_age(&mut connection).await
    {
        metrics::gauge!("es_horizon_age_seconds").set(age);
    }
    if let Ok(open) = incidents::open(pool.0).await {
        metrics::gauge!("line_incidents_open").set(open as f64);
    }
    recorder().render()
}
