//! The last moment before a message leaves. What was claimed may be claimed by another when we die; what left is
//! in doubt. So the log of the outbox says "it leaves" first, for all that leave at the same time in one statement,
//! and says it only while the claim is still ours.

use std::time::Instant;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::outbox::claim::Claimed;

/// How long an answer may take, in seconds: longer than the channel's own time limit.
pub const ANSWER_SEC: f64 = 45.0;
/// Messages that leave by one statement at most.
const BATCH_MAX: usize = 128;

struct Leaving {
    id: i64,
    token: Uuid,
    answer: oneshot::Sender<bool>,
}

/// Marks messages as leaving.
pub struct Departures {
    queue: mpsc::Sender<Leaving>,
}

impl Departures {
    /// Starts the writer; it ends with the last handle.
    pub fn start(pool: PgPool) -> Self {
        let (queue, leaving) = mpsc::channel(BATCH_MAX);
        tokio::spawn(write(pool, leaving));
        Self { queue }
    }

    /// Whether the message may leave now: it is durable that it does, and the claim is still ours. A process that
    /// stood still meanwhile, for as long as an answer may take, sends nothing: others hold the message to be in doubt.
    pub async fn leave(&self, message: &Claimed) -> bool {
        let asked = Instant::now();
        let (answer, answered) = oneshot::channel();
        let queued = self.queue.send(Leaving { id: message.id, token: message.token, answer }).await;
        queued.is_ok() && answered.await.unwrap_or(false) && asked.elapsed().as_secs_f64() < ANSWER_SEC
    }
}

async fn write(pool: PgPool, mut leaving: mpsc::Receiver<Leaving>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while leaving.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (ids, tokens): (Vec<i64>, Vec<Uuid>) = batch.iter().map(|it| (it.id, it.token)).unzip();
        let left: Result<Vec<i64>, _> = sqlx::query_scalar(
            "update outbox o set state = 2, lease_until = now() + interval '1 second' * $3
               from unnest($1::bigint[], $2::uuid[]) as l(id, token)
              where o.id = l.id and o.lease_token = l.token and o.state = 1
             returning o.id",
        )
        .bind(ids)
        .bind(tokens)
        .bind(ANSWER_SEC)
        .fetch_all(&pool)
        .await;
        if let Err(error) = &left {
            tracing::warn!(%error, "Messages cannot leave");
        }
        let left = left.unwrap_or_default();
        for it in batch.drain(..) {
            // Who asked may be gone; then nothing leaves, and the message is in doubt for nothing, but safe.
            let _ = it.answer.send(left.contains(&it.id));
        }
    }
}
