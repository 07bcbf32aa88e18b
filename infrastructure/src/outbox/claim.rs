//! Taking due messages: the head of each lane, replies before broadcasts, under a lease.

use domain::shared::channel::Address;
use domain::shared::content::OutboundContent;
use domain::shared::ids::{ConversationId, MessageId, TenantId};
use domain::shared::provider_error::ProviderError;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::outbox::queue_log::{self, told, waits};

/// How long a claimed message is ours before it has to leave, in seconds.
pub const LEASE_SEC: f64 = 5.0;

/// A message that is ours to send.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The row.
    pub id: i64,
    /// The lease; whoever lost it changes nothing.
    pub token: Uuid,
    /// The account.
    pub tenant: TenantId,
    /// The conversation.
    pub lane: ConversationId,
    /// The line.
    pub bucket: String,
    /// The message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: Address,
    /// What; `None` when this build cannot read it.
    pub content: Option<OutboundContent>,
    /// Whether it yields to conversations.
    pub is_broadcast: bool,
    /// Which retry by a person it is; 0 for none.
    pub retry: u32,
    /// Tries so far, this one included.
    pub attempts: i32,
    /// Whether an earlier try stayed in doubt.
    pub resent: bool,
    /// Whether it waited too long.
    pub expired: bool,
}

/// Claims up to `limit` messages, none of the lines in `except`, and no broadcasts of those in `broadcasts_except`. A lane
/// gives its head only, and nothing while its head is in flight, in doubt or waits for a retry. Nobody waits for the
/// commit: without its claim no message leaves.
///
/// # Errors
/// The database.
pub async fn claim(
    pool: &PgPool,
    limit: i64,
    except: &[String],
    broadcasts_except: &[String],
) -> Result<Vec<Claimed>, sqlx::Error> {
    let rows = sqlx::query(
        "with due as (
            select o.id from outbox o
                   -- On its own (limit): all at once, the planner would read the whole outbox.
                   left join lateral (
                       select b.id from outbox b where b.lane = o.lane and b.id < o.id and b.state <> 4
                        order by b.id limit 1) as before on true
             where o.state = 0 and o.due_at <= now() and o.bucket <> all($2)
               and (o.priority = 0 or o.bucket <> all($4)) and before.id is null
             order by o.priority, o.due_at, o.id limit $1 for update of o skip locked)
         update outbox o set state = 1, attempts = attempts + 1, lease_token = gen_random_uuid(),
                lease_until = now() + interval '1 second' * $3
           from due cross join (select set_config('synchronous_commit', 'off', true)) as unhurried where o.id = due.id
         returning o.id, o.lease_token, o.tenant_id, o.lane, o.bucket, o.message_id, o.recipient, o.content, o.attempts,
                   o.retry, o.priority, o.resent, o.expires_at < now() as expired",
    )
    .bind(limit)
    .bind(except)
    .bind(LEASE_SEC)
    .bind(broadcasts_except)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Claimed {
                id: row.try_get("id")?,
                token: row.try_get("lease_token")?,
                tenant: TenantId(row.try_get("tenant_id")?),
                lane: ConversationId(row.try_get("lane")?),
                bucket: row.try_get("bucket")?,
                message_id: MessageId(row.try_get("message_id")?),
                recipient: row.try_get::<Json<Address>, _>("recipient")?.0,
                content: row.try_get::<Json<OutboundContent>, _>("content").ok().map(|content| content.0),
                is_broadcast: row.try_get::<i16, _>("priority")? > 0,
                retry: row.try_get::<i32, _>("retry")?.unsigned_abs(),
                attempts: row.try_get("attempts")?,
                resent: row.try_get("resent")?,
                expired: row.try_get("expired")?,
            })
        })
        .collect()
}

/// Whether a message is due and was not claimed: something of its lane or its line is in the way.
///
/// # Errors
/// The database.
pub async fn any_waits(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from outbox where state = 0 and due_at <= now())").fetch_one(pool).await
}

/// Makes a dead letter of a message that can never leave.
///
/// # Errors
/// The database.
pub async fn bury(pool: &PgPool, message: &Claimed, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query(BURY).bind(message.id).bind(message.token).bind(why).execute(pool).await?;
    Ok(())
}

const BURY: &str = told!(
    "update outbox o set state = 4, leaving = false, due_at = now(), last_error = $3, lease_token = null, lease_until = null
      where id = $1 and lease_token = $2",
    "dead",
    "last_error"
);

/// Why a message is given back.
#[derive(Debug, Clone, Copy)]
pub enum Back<'a> {
    /// The channel was not asked.
    Held(&'a str),
    /// The channel refused it.
    Refused {
        /// Why.
        error: &'a ProviderError,
        /// Whether it counts as a try of the message; not when it is the line's fault.
        counts: bool,
    },
}

/// Gives a message back: due again after `seconds`.
///
/// # Errors
/// The database.
pub async fn put_back(pool: &PgPool, message: &Claimed, seconds: f64, why: Back<'_>) -> Result<(), sqlx::Error> {
    let (sql, error, counts) = match why {
        Back::Held(_) => (HOLD, None, false),
        Back::Refused { error, counts } => (REFUSE, Some(error), counts),
    };
    let words = match why {
        Back::Held(words) => words.to_owned(),
        Back::Refused { error, .. } => queue_log::said(error),
    };
    let query = sqlx::query(sql).bind(message.id).bind(message.token).bind(seconds).bind(counts).bind(words);
    query.bind(error.and_then(queue_log::code)).bind(error.map(|error| error.class.as_str())).execute(pool).await?;
    Ok(())
}

const HOLD: &str = waits!(
    "update outbox o set state = 0, leaving = false, due_at = now() + interval '1 second' * $3, attempts = attempts - (not $4)::int,
            last_error = $5, error_code = $6, error_class = $7, lease_token = null, lease_until = null
      where id = $1 and lease_token = $2"
);

const REFUSE: &str = told!(
    "update outbox o set state = 0, leaving = false, due_at = now() + interval '1 second' * $3, attempts = attempts - (not $4)::int,
            last_error = $5, error_code = $6, error_class = $7, lease_token = null, lease_until = null
      where id = $1 and lease_token = $2",
    "refused",
    "error_code",
    "error_class",
    "last_error",
    "due_at"
);
