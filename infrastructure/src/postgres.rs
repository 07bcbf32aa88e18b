//! The database behind the ports.

pub mod readers;

use application::error::AppError;

use crate::event_store::append::is_unavailable;

/// A database error in the words of use cases.
pub(crate) fn app_error(error: sqlx::Error) -> AppError {
    if is_unavailable(&error) {
        tracing::warn!(%error, "The database cannot be reached");
        AppError::Unavailable
    } else {
        AppError::internal(error)
    }
}
