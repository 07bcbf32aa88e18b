//! `flowbot projections`.

use std::sync::Arc;

use application::projections::{Projections, RebuildProgress};
use infrastructure::event_store::keys::KeyRing;
use infrastructure::event_store::rebuild::admin::PgProjections;
use sqlx::PgPool;

use crate::compose::workers;

/// Lists the projections with their lag, and what is being rebuilt.
///
/// # Errors
/// The database.
pub async fn run(pool: &PgPool, keys: &Arc<KeyRing>) -> anyhow::Result<()> {
    let projections = workers::projections(keys);
    let names: Vec<&str> = projections.iter().map(|projection| projection.name()).collect();
    infrastructure::event_store::waiter::register(pool, &names).await?;
    say!(
        "{:<22} {:<10} {:>10} {:>12} {:>10} {:>10}  error",
        "name",
        "status",
        "generation",
        "lag events",
        "lag s",
        "events/s"
    );
    for row in PgProjections::new(pool.clone(), projections).list().await? {
        say!(
            "{:<22} {:<10} {:>10} {:>12} {:>10.1} {:>10.0}  {}",
            row.name,
            row.status,
            row.generation,
            row.lag_events,
            row.lag_seconds,
            row.rate,
            row.error.unwrap_or_default()
        );
        if let Some(progress) = &row.progress {
            say!("  {}", line(progress));
        }
    }
    Ok(())
}

/// A rebuild in one line.
pub fn line(progress: &RebuildProgress) -> String {
    let RebuildProgress { phase, generation, events_done, events_total, rate, .. } = progress;
    let mut line = format!(
        "generation {generation}: {}, {events_done} of {events_total} events, {rate:.0}/s",
        phase.replace('_', " ")
    );
    if let Some(seconds) = progress.eta_seconds {
        line += &format!(", {seconds:.0} s left");
    }
    if let Some(found) = progress.differences.as_ref().filter(|found| found.any()) {
        line += &format!("; {} missing, {} extra, {} changed", found.missing, found.extra, found.changed);
    }
    if let Some(error) = &progress.error {
        line += &format!("; {error}");
    }
    line
}
