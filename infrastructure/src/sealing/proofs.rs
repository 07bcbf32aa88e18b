//! The port behind the audit operations.

use std::path::PathBuf;
use std::sync::Arc;

use application::audit::{BadBatch, Inclusion, Lines, Proofs, Range, Verification};
use application::error::{AppError, AppResult};
use application::time::Clock;
use async_trait::async_trait;
use domain::shared::ids::TenantId;
use sqlx::PgPool;
use tokio::sync::Mutex;

use super::keys::{self, KeyError};
use super::{export, head_file, inclusion, verify};
use crate::postgres::app_error;
use crate::security::secret_box::SecretBox;

/// A walk over fewer events waits for nobody.
const SHORT: i64 = 10_000;

/// [`Proofs`] on Postgres.
pub struct PgProofs {
    pool: PgPool,
    secrets: SecretBox,
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
    walking: Mutex<()>,
}

impl PgProofs {
    /// Proofs under the keys sealed in `secrets`, held against the head kept in `data_dir`.
    pub fn new(pool: PgPool, secrets: SecretBox, data_dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { pool, secrets, data_dir, clock, walking: Mutex::new(()) }
    }
}

fn checked(range: Range) -> AppResult<Range> {
    let (from, to) = (range.from.unwrap_or(1), range.to.unwrap_or(i64::MAX));
    if from < 1 || to < from {
        return Err(AppError::invalid("`from` and `to` are numbers of events from 1, and `from` is not behind `to`"));
    }
    Ok(range)
}

#[async_trait]
impl Proofs for PgProofs {
    async fn verify(&self, range: Range) -> AppResult<Verification> {
        let range = checked(range)?;
        // A long walk keeps a connection and half a core busy; whoever comes for one meanwhile waits.
        let short = range.from.zip(range.to).is_some_and(|(from, to)| to - from < SHORT);
        let _walking = if short { None } else { Some(self.walking.lock().await) };
        // The head is read first: it may only be behind what is walked.
        let head = head_file::read_in(&self.data_dir);
        let kept = head.as_ref().ok().and_then(Option::as_ref);
        let verified = verify::verify(&self.pool, Some(&self.secrets), range, kept).await;
        let mut verified = verified.map_err(app_error)?;
        if let (Err(error), None) = (head, &verified.bad) {
            let batch = verified.head.as_ref().map_or(1, |head| head.batch);
            verified.bad = Some(BadBatch { batch, reason: format!("the head that was kept is damaged: {error:#}") });
        }
        Ok(verified)
    }

    async fn inclusion(&self, tenant: TenantId, event: &str) -> AppResult<Inclusion> {
        inclusion::inclusion(&self.pool, tenant, event).await
    }

    async fn export(&self, tenant: TenantId, range: Range, lines: &mut dyn Lines) -> AppResult<()> {
        let range = checked(range)?;
        let key = keys::signing(&self.pool, &self.secrets).await.map_err(|error| match error {
            KeyError::Database(error) => app_error(error),
            KeyError::Sealed { .. } | KeyError::Foreign(_) | KeyError::Randomness(_) => AppError::internal(error),
        })?;
        export::export(&self.pool, &key, (tenant, self.clock.now()), range, lines).await
    }
}
