//! What people prefer: the language they are spoken to in, and how the user interface looks.

use async_trait::async_trait;
use domain::shared::preferences::{Language, Theme};

use crate::actor::Session;
use crate::error::AppResult;

/// Keeps what people prefer, with an audit entry in the same transaction.
#[async_trait]
pub trait Preferences: Send + Sync {
    /// The person is spoken to in this language from now on.
    async fn speak(&self, session: &Session, language: Language) -> AppResult<()>;
    /// The person sees the user interface like this from now on.
    async fn dress(&self, session: &Session, theme: Theme) -> AppResult<()>;
}
