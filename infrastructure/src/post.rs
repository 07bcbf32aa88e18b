//! Sealed letters: queued as jobs, opened where they are delivered.

use application::error::{AppError, AppResult};
use application::identity::letters::{Letter, Post};
use domain::shared::ids::TenantId;

use crate::security::secret_box::{SecretBox, place};

/// The place letters are sealed for.
const COLUMN: &str = "jobs.letter";

/// Seals a letter for the queue.
///
/// # Errors
/// The system has no randomness to give.
pub fn seal(secrets: &SecretBox, letter: &Letter) -> AppResult<String> {
    let bytes = serde_json::to_vec(letter).map_err(AppError::internal)?;
    secrets.seal(&bytes, &place(letter.tenant, COLUMN)).map_err(AppError::internal)
}

/// Opens and delivers letters.
pub struct SealedPost {
    /// What they are sealed in.
    pub secrets: SecretBox,
    /// Who delivers them.
    pub post: Post,
}

impl SealedPost {
    /// Delivers a letter of the account; `id` is the same at every try.
    ///
    /// # Errors
    /// It does not open, was refused, or could not be sent for now (internal).
    pub async fn deliver(&self, tenant: TenantId, sealed: &str, id: &str) -> AppResult<()> {
        let unreadable =
            |error: &dyn std::fmt::Display| AppError::invalid(format!("the letter does not open: {error}"));
        let opened = self.secrets.open(sealed, &place(tenant, COLUMN)).map_err(|error| unreadable(&error))?;
        let letter: Letter = serde_json::from_slice(&opened).map_err(|error| unreadable(&error))?;
        self.post.deliver(&letter, id).await
    }
}
