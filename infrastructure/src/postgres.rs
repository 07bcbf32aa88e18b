//! The ports of `application` over Postgres tables, and what its errors mean to a caller.

pub mod accounts;
pub mod api_clients;
pub mod audit_entries;
pub mod audited;
pub mod bulk_sends;
pub mod contacts;
pub mod delivery;
pub mod employees;
pub mod flow_library;
pub mod idempotency;
pub mod incidents;
pub mod limits;
pub mod line_stops;
pub mod lines;
pub mod migrations;
pub mod personal_data;
pub mod pool;
pub mod preferences;
pub mod queue_log;
pub mod readers;
pub mod sessions;
pub mod signing_keys;
pub mod social;
pub mod tasks;
pub mod template_accounts;
pub mod template_archive;
pub mod template_batches;
pub mod ttl_cache;
pub mod users;
pub mod verification_codes;

use application::error::AppError;

use crate::event_store::append::is_unavailable;

/// What this node remembers of accounts for a while, and can forget at once.
pub trait Remembers: Send + Sync {
    /// Remembers nothing any more: an account was closed.
    fn forget_all(&self);
}

/// No database for now, or our fault.
pub(crate) fn app_error(error: sqlx::Error) -> AppError {
    if is_unavailable(&error) {
        tracing::warn!(%error, "The database cannot be reached");
        AppError::Unavailable
    } else {
        AppError::internal(error)
    }
}

/// A conflict when the error is a value that is taken; else as [`app_error`].
pub(crate) fn taken_or(error: sqlx::Error, code: &'static str, message: &str) -> AppError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => AppError::Conflict { code, message: message.to_owned() },
        Some(_) | None => app_error(error),
    }
}
