//! Calls that were signed together with a time: taken within five minutes of it, and once.

use std::sync::Arc;

use async_trait::async_trait;
use domain::shared::ids::FlowId;

use crate::error::{AppError, AppResult};
use crate::time::Clock;

/// How far the time of a signed call may be from ours, in seconds.
pub const SIGNED_WITHIN_SEC: u64 = 300;

/// Signatures that were used, on any node, remembered for longer than they are good.
#[async_trait]
pub trait UsedSignatures: Send + Sync {
    /// Whether nobody used it before.
    ///
    /// # Errors
    /// It is not known; the call must not take effect.
    async fn is_first_use(&self, flow: FlowId, signature: &str) -> AppResult<bool>;
}

/// Calls that were signed together with a time.
pub struct SignedCalls {
    /// What was used.
    pub used: Arc<dyn UsedSignatures>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl SignedCalls {
    /// Whether a time, in seconds since 1970, is near enough to now.
    pub fn is_timely(&self, timestamp: &str) -> bool {
        let now = self.clock.now().timestamp();
        timestamp.parse::<i64>().is_ok_and(|told| told.abs_diff(now) <= SIGNED_WITHIN_SEC)
    }

    /// Uses a signature up.
    ///
    /// # Errors
    /// It was used before.
    pub async fn use_up(&self, flow: FlowId, signature: &str) -> AppResult<()> {
        if self.used.is_first_use(flow, signature).await? {
            return Ok(());
        }
        let message = "a call with this signature came in before: sign a new call with its own time".to_owned();
        Err(AppError::Conflict { code: "signature_replayed", message })
    }
}
