//! Attempts to sign in wait for their turn: the more of them failed for a name, the longer.
//!
//! An attempt counts as failed until it succeeded, so that many at once count like many in a row. Who signed in from a
//! network before has a lane of their own there: whoever fails elsewhere cannot keep them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::allowance::Patience;

use crate::conversations::ports::Pause;
use crate::error::{AppError, AppResult};

/// Attempts that wait on one node at most, whatever their names.
const WAITING_MAX: usize = 256;

/// When an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// After this long. It counts from now on.
    After(Duration),
    /// Too many wait: somebody who asks again after this long need not wait. It does not count.
    Crowded(Duration),
}

/// Attempts to sign in, by name, whether somebody has it or not.
#[async_trait]
pub trait SignInAttempts: Send + Sync {
    /// Gives the next attempt for this name from this network its turn.
    ///
    /// # Errors
    /// The attempts before it are not known; it must not be made.
    async fn begin(&self, name: &str, network: &str, patience: &Patience) -> AppResult<Turn>;

    /// An attempt succeeded: forgets those before it, and that this network is unknown.
    ///
    /// # Errors
    /// It cannot be stored.
    async fn succeeded(&self, name: &str, network: &str) -> AppResult<()>;
}

/// Gives attempts to sign in their turns.
pub struct Turns {
    attempts: Arc<dyn SignInAttempts>,
    pause: Arc<dyn Pause>,
    patience: Option<Patience>,
    waiting: AtomicUsize,
}

/// A place in the waiting room, given back whatever becomes of the request.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// Turns with this patience; without any, nobody waits and nothing is counted.
    pub fn new(attempts: Arc<dyn SignInAttempts>, pause: Arc<dyn Pause>, patience: Option<Patience>) -> Self {
        Self { attempts, pause, patience, waiting: AtomicUsize::new(0) }
    }

    /// Makes the attempt when its turn has come. Nothing is held while it waits but a place in the waiting room.
    ///
    /// # Errors
    /// Too many wait for this name, or on this node; or as the attempt.
    pub async fn sign_in<T>(
        &self,
        name: &str,
        network: &str,
        attempt: impl Future<Output = AppResult<T>>,
    ) -> AppResult<T> {
        let Some(patience) = &self.patience else { return attempt.await };
        match self.attempts.begin(name, network, patience).await? {
            Turn::Crowded(wait) => return Err(AppError::TooMany { wait }),
            Turn::After(Duration::ZERO) => {}
            Turn::After(wait) => {
                let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
                let place = Place(&self.waiting);
                if waiting >= WAITING_MAX {
                    return Err(AppError::TooMany { wait });
                }
                self.pause.pause(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)).await;
                drop(place);
            }
        }
        let done = attempt.await?;
        self.attempts.succeeded(name, network).await?;
        Ok(done)
    }
}
