//! What need not be kept: webhooks that are done, sessions that ended, dead letters nobody asked for, answers to
//! requests nobody sends again, codes and allowances that are too old, accounts nobody ever verified. Deleted in small
//! transactions, so that no reader of the log waits for one.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often.
const EVERY: Duration = Duration::from_secs(600);

/// What goes, and how old it is then. Meta delivers a webhook again for up to 7 days; that it took effect is
/// remembered by its key for ever.
const RULES: [&str; 15] = [
    "delete from webhook_journal where id in (
        select id from webhook_journal where state <> 0 and received_at < now() - interval '8 days' limit 2000)",
    "delete from parked_elements where id in (
        select id from parked_elements where parked_at < now() - interval '90 days' limit 2000)",
    "with gone as (
        delete from outbox where id in (
            select id from outbox where state = 4 and created_at < now() - interval '30 days' limit 2000)
        returning tenant_id, bucket, lane, message_id, retry, attempts, created_at)
     insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, attempts, queued_at)
     select tenant_id, bucket, lane, message_id, retry, 'expired', attempts, created_at from gone",
    "delete from queue_log where (tenant_id, id) in (
        select tenant_id, id from queue_log where at < now() - interval '30 days' limit 2000)",
    "delete from idempotency_keys where (tenant_id, key) in (
        select tenant_id, key from idempotency_keys where created_at < now() - interval '7 days' limit 2000)",
    "delete from once where (tenant_id, key) in (
        select tenant_id, key from once where reference = 'request' and recorded_at < now() - interval '7 days' limit 2000)",
    "delete from sessions where id in (select id from sessions where expires_at < now() - interval '1 day' limit 2000)",
    "delete from verification_codes where (user_id, channel) in (
        select user_id, channel from verification_codes where expires_at < now() - interval '1 day' limit 2000)",
    "delete from verification_asks where address_hash in (
        select address_hash from verification_asks where asked_at < now() - interval '1 day' limit 2000)",
    "delete from sessions where id in (
        select s.id from sessions s join users u on u.id = s.user_id
         where u.must_verify and u.created_at < now() - interval '7 days' limit 2000)",
    "with gone as (delete from users where id in (
        select id from users where must_verify and created_at < now() - interval '7 days' limit 500) returning id, username)
     insert into audit_entries (tenant_id, actor, action, subject, details)
     select id, 'system', 'user.lapsed', id::text, json_build_object('username', username) from gone",
    "delete from allowances where key in (select key from allowances where forget_at < now() limit 2000) and forget_at < now()",
    "delete from sign_in_attempts where (name, place) in (
        select name, place from sign_in_attempts
         where turn_at < now() - case when place = '' then interval '1 day' else interval '30 days' end limit 2000)",
    "delete from bulk_recipients where (bulk_send_id, number) in (
        select r.bulk_send_id, r.number from bulk_sends b join bulk_recipients r on r.bulk_send_id = b.id
         where b.ended_at < now() - interval '90 days' limit 2000)",
    "delete from used_signatures where mark in (
        select mark from used_signatures where used_at < now() - interval '1 hour' limit 2000)",
];

/// Deletes until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&pool).await {
            tracing::warn!(%error, "What is old could not be deleted");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Deletes everything that is too old; returns how much.
///
/// # Errors
/// The database.
pub async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut all = 0;
    for rule in RULES {
        loop {
            let deleted = sqlx::query(rule).execute(pool).await?.rows_affected();
            all += deleted;
            if deleted == 0 {
                break;
            }
        }
    }
    Ok(all)
}
