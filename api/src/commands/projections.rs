//! `flowbot projections`.

use std::sync::Arc;

use infrastructure::event_store::keys::KeyRing;
use sqlx::PgPool;

use crate::compose::{health, workers};

/// Lists the projections with their lag.
///
/// # Errors
/// The database.
pub async fn run(pool: &PgPool, keys: &Arc<KeyRing>) -> anyhow::Result<()> {
    let projections = workers::projections(keys);
    let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    infrastructure::event_store::waiter::register(pool, &names).await?;
    say!("{:<22} {:<8} {:>10} {:>12} {:>10}  error", "name", "status", "generation", "lag events", "lag s");
    for state in health::projection_states(pool).await? {
        say!(
            "{:<22} {:<8} {:>10} {:>12} {:>10.1}  {}",
            state.name,
            state.status,
            state.generation,
            state.lag_events,
            state.lag_seconds,
            state.error.unwrap_or_default()
        );
    }
    Ok(())
}
