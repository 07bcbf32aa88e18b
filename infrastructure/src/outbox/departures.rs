//! The last moment before a message leaves. What was claimed may be claimed by another when we die; what left is
//! in doubt. So its row says "it leaves" first, for all that leave at the same time in one statement,
//! and says it only while the claim is still ours.

use std::collections::HashSet;
use std::time::Instant;

use futures::FutureExt;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::outbox::claim::Claimed;
use crate::together::Together;

/// How long an answer may take, in seconds: longer than the channel's own time limit.
pub const ANSWER_SEC: f64 = 45.0;
/// Messages that leave by one statement at most.
const BATCH_MAX: usize = 128;

/// Marks messages as leaving.
pub struct Departures(Together<(i64, Uuid), bool>);

impl Departures {
    /// Starts the writer; it ends with the last handle.
    pub fn start(pool: PgPool) -> Self {
        Self(Together::start(pool, BATCH_MAX, |connection, leaving| leave(connection, leaving).boxed()))
    }

    /// Whether the message may leave now: it is durable that it does, and the claim is still ours. A process that
    /// stood still meanwhile, for as long as an answer may take, sends nothing: others hold the message to be in doubt.
    pub async fn leave(&self, message: &Claimed) -> bool {
        let asked = Instant::now();
        let leaves = self.0.ask((message.id, message.token)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "A message cannot leave");
            false
        });
        leaves && asked.elapsed().as_secs_f64() < ANSWER_SEC
    }
}

async fn leave(connection: &mut PgConnection, leaving: Vec<(i64, Uuid)>) -> Result<Vec<bool>, sqlx::Error> {
    let (ids, tokens): (Vec<i64>, Vec<Uuid>) = leaving.into_iter().unzip();
    let left: HashSet<i64> = sqlx::query_scalar(
        "update outbox o set leaving = true, lease_until = now() + interval '1 second' * $3
           from unnest($1::bigint[], $2::uuid[]) as l(id, token)
          where o.id = l.id and o.lease_token = l.token and not o.leaving
         returning o.id",
    )
    .bind(&ids)
    .bind(tokens)
    .bind(ANSWER_SEC)
    .fetch_all(connection)
    .await?
    .into_iter()
    .collect();
    Ok(ids.iter().map(|id| left.contains(id)).collect())
}
