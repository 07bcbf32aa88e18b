//! Messages of which nobody knows whether they went out: the request left, and no answer came.
//!
//! The Graph API has no idempotency key. Each send carries our id, which status webhooks bring back: one that
//! comes within 120 s settles the message as sent. After that it is sent once more, and says so.

use sqlx::PgPool;

use crate::outbox::claim::Claimed;
use crate::outbox::queue_log::{told, waits};

/// How long a status webhook may settle it, in seconds.
pub const DOUBT_SEC: f64 = 120.0;

/// This message is in doubt from now on.
///
/// # Errors
/// The database.
pub async fn doubt(pool: &PgPool, message: &Claimed, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query(told!(
        "update outbox o set state = 3, leaving = false, lease_token = null, lease_until = now() + interval '1 second' * $3,
                last_error = $4, error_code = null, error_class = null
          where id = $1 and lease_token = $2",
        "in_doubt",
        "null",
        "null",
        "last_error",
        "lease_until"
    ))
    .bind(message.id)
    .bind(message.token)
    .bind(DOUBT_SEC)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

/// Moves on what time has settled: what was claimed and never left is due again; what left and was never answered
/// is in doubt; a doubt that nothing settled makes it due once more. Returns how many went into doubt and how many are sent again.
///
/// # Errors
/// The database.
pub async fn sweep(pool: &PgPool) -> Result<(u64, u64), sqlx::Error> {
    let again: i64 = sqlx::query_scalar(told!(
        "update outbox o set state = 0, due_at = now(), resent = true, lease_token = null, lease_until = null
          where state = 3 and lease_until < now()",
        "resent",
        "null",
        "null",
        "'no status settled the doubt'",
        "due_at"
    ))
    .fetch_one(pool)
    .await?;
    let unsent = waits!(
        "update outbox o set state = 0, attempts = attempts - 1, lease_token = null, lease_until = null
          where state = 1 and not leaving and lease_until < now()"
    );
    sqlx::query(unsent).execute(pool).await?;
    let doubtful: i64 = sqlx::query_scalar(told!(
        "update outbox o set state = 3, leaving = false, lease_token = null, lease_until = now() + interval '1 second' * $1,
                last_error = 'the sender stopped before the answer came', error_code = null, error_class = null
          where state = 1 and leaving and lease_until < now()",
        "in_doubt",
        "null",
        "null",
        "last_error",
        "lease_until"
    ))
    .bind(DOUBT_SEC)
    .fetch_one(pool)
    .await?;
    Ok((doubtful.unsigned_abs(), again.unsigned_abs()))
}
