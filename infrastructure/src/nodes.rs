//! This process among others on the database: a heartbeat, and what falls to us when another's stops.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::postgres::pool;

/// How often a node says that it is alive.
const BEAT: Duration = Duration::from_secs(1);
/// How long others believe it.
const BELIEVED: &str = "4 seconds";

/// Says that this node is alive, once.
///
/// # Errors
/// The database.
pub async fn beat(pool: &PgPool, node: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into nodes (id, alive_until) values ($1, now() + $2::interval)
         on conflict (id) do update set alive_until = excluded.alive_until",
    )
    .bind(node)
    .bind(BELIEVED)
    .execute(pool)
    .await?;
    Ok(())
}

/// Who owns webhooks that are to be done and is not alive. Owners are few and rows may be many: one look into the
/// index an owner.
const ORPHANS: &str = "
with recursive owners as (
    (select owner from webhook_journal where state = 0 order by owner limit 1)
    union all
    select (select j.owner from webhook_journal j where j.state = 0 and j.owner > o.owner order by j.owner limit 1)
      from owners o where o.owner is not null)
select o.owner from owners o where o.owner is not null and not exists (select from nodes n where n.id = o.owner)";

/// Takes over the webhooks of nodes that are gone. How many they were.
///
/// A node that was declared gone while it still breathed may journal once more and then die: what counts is that
/// nobody alive owns a row, not whose end was noticed just now.
///
/// # Errors
/// The database.
pub async fn adopt(pool: &PgPool, node: Uuid) -> Result<u64, sqlx::Error> {
    sqlx::query("delete from nodes where alive_until < now() and id <> $1").bind(node).execute(pool).await?;
    let orphans: Vec<Uuid> = sqlx::query_scalar(ORPHANS).fetch_all(pool).await?;
    if orphans.is_empty() {
        return Ok(0);
    }
    let adopted = sqlx::query(
        "update webhook_journal set owner = $1, attempts = attempts + 1, due_at = now() where owner = any($2) and state = 0",
    )
    .bind(node)
    .bind(orphans)
    .execute(pool)
    .await?;
    Ok(adopted.rows_affected())
}

/// How long a process that lives lets a session wait for it to read, in seconds.
const READS_WITHIN_SEC: f64 = 10.0;

/// Sessions of ours that write and wait for their process to read.
const STANDING_STILL: &str = "
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and usename = current_user and application_name = $2
   and backend_xid is not null and wait_event = 'ClientWrite' and query_start < now() - interval '1 second' * $1";

/// Ends the sessions of processes that stand still in the middle of reading an answer, in a transaction that writes.
/// They hold the horizon of the log's readers, and a projection's checkpoint, and no time limit of the database ends a
/// session that waits for its client to read. How many they were, of those that began so many seconds ago.
///
/// # Errors
/// The database.
pub async fn release(pool: &PgPool, seconds: f64) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(STANDING_STILL).bind(seconds).bind(pool::NAME).fetch_all(pool).await?.len() as u64)
}

/// Beats until `stop`, and wakes `adopted` when webhooks were taken over. At the end the node says goodbye, so
/// that others need not wait.
pub async fn run(pool: PgPool, node: Uuid, adopted: std::sync::Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let turn = async {
            beat(&pool, node).await?;
            let released = release(&pool, READS_WITHIN_SEC).await?;
            if released > 0 {
                tracing::warn!(released, "Ended sessions of a process that stands still");
            }
            adopt(&pool, node).await
        };
        match turn.await {
            Ok(0) => {}
            Ok(webhooks) => {
                tracing::info!(webhooks, "Took over the webhooks of a node that is gone");
                adopted.notify_one();
            }
            Err(error) => tracing::warn!(%error, "No heartbeat"),
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = stop.cancelled() => {}
        }
    }
    let goodbye = sqlx::query("update nodes set alive_until = now() - interval '1 second' where id = $1").bind(node);
    if let Err(error) = goodbye.execute(&pool).await {
        tracing::warn!(%error, "No goodbye");
    }
}
