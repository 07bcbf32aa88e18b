//! Connections to the database, as every part of FlowBot has them.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};

/// What the sessions of FlowBot's processes are called.
pub const NAME: &str = "flowbot";
/// Connections of a process at most, for each core, and beside that. Few: what is asked at the same time shares
/// statements, and each connection has its plans and its map of the shared memory to itself.
const CONNECTIONS_MAX: (usize, usize) = (4, 8);
/// How long a request waits for one before it answers 503.
pub const ACQUIRE_MAX: Duration = Duration::from_secs(3);
/// A connection that has been idle for longer is asked whether it still stands. Others were, when they were given back:
/// to ask each time would cost every statement a round trip.
pub const TRUSTED: Duration = Duration::from_secs(1);

/// As many connections as a process has on this machine.
pub fn connections_max() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(CONNECTIONS_MAX.0 * cores + CONNECTIONS_MAX.1).unwrap_or(u32::MAX)
}

/// Whether somebody may keep a connection while it does not use it: others find one to spare, and the pool goes on.
pub fn may_keep(pool: &PgPool) -> bool {
    let to_spare = pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
    to_spare && !pool.is_closed()
}

/// Connections of this name, `most` of them at most, whose transactions cannot hold up the log's readers for long.
///
/// # Errors
/// The database cannot be reached.
pub async fn connect(options: PgConnectOptions, name: &str, most: u32) -> sqlx::Result<PgPool> {
    let options = options.application_name(name).options([
        ("idle_in_transaction_session_timeout", "5s"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        // Plans are kept: one that was made while a queue was empty would read all of it ever after.
        ("enable_seqscan", "off"),
        // Nor is what a kept plan seems to cost a reason to compile it at every statement.
        ("jit", "off"),
        // Migrations say at every start that what is there is there.
        ("client_min_messages", "warning"),
    ]);
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE_MAX)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for >= TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
}
