//! Works jobs that submit many templates: one item of each at a time, at its pace.

use std::sync::Arc;
use std::time::Duration;

use application::templates::batch::Batches;
use futures::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

/// Jobs worked at once.
const UNDER_WAY_MAX: u32 = 8;
/// How often jobs whose turn it is are looked for.
const IDLE: Duration = Duration::from_millis(250);
/// How long the database is left alone when it cannot be reached.
const TROUBLED: Duration = Duration::from_secs(1);

/// Works until `stop`.
pub async fn run(batches: Arc<Batches>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match batches.store.claim(UNDER_WAY_MAX).await {
            Ok(held) if held.is_empty() => IDLE,
            Ok(held) => {
                let work = |batch| {
                    let batches = &batches;
                    async move {
                        if let Err(error) = batches.step(&batch).await {
                            tracing::warn!(%error, job = %batch.id, "A template job's item failed; it is taken up again");
                        }
                    }
                };
                stream::iter(held).for_each_concurrent(UNDER_WAY_MAX as usize, work).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "The template jobs cannot be read");
                TROUBLED
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}
