//! The journal of webhooks: bodies that come at the same time share one insert and one commit. Only what is
//! durable is answered.

use std::sync::Arc;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Row};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// Bodies that share one insert at most.
const BATCH_MAX: usize = 256;
/// Bodies waiting to be written at most.
const QUEUE_MAX: usize = 2_048;

struct Pending {
    source: &'static str,
    body: Vec<u8>,
    lines: Vec<String>,
    answer: oneshot::Sender<Result<(), Arc<sqlx::Error>>>,
}

/// The journal of this node.
#[derive(Clone)]
pub struct Journal {
    queue: mpsc::Sender<Pending>,
}

/// A webhook to be processed.
#[derive(Debug)]
pub struct JournalRow {
    /// Its number; the order of arrival on its node.
    pub id: i64,
    /// As it came.
    pub body: Vec<u8>,
    /// The lines whose secret signed it.
    pub lines: Vec<String>,
    /// How often it was put off.
    pub attempts: i32,
}

impl Journal {
    /// Starts the writer; `grown` is notified after every insert.
    pub fn start(pool: PgPool, node: Uuid, grown: Arc<Notify>) -> Self {
        let (queue, pending) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(write(pool, node, pending, grown));
        Self { queue }
    }

    /// Keeps a body. When this returns `Ok`, it is durable.
    ///
    /// # Errors
    /// It was not kept.
    pub async fn keep(&self, source: &'static str, body: Vec<u8>, lines: Vec<String>) -> Result<(), Arc<sqlx::Error>> {
        let (answer, answered) = oneshot::channel();
        let closed = || Arc::new(sqlx::Error::PoolClosed);
        self.queue.send(Pending { source, body, lines, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

/// One writer: numbers are given in the order of commits, so that a reader's cursor passes over nothing.
async fn write(pool: PgPool, node: Uuid, mut pending: mpsc::Receiver<Pending>, grown: Arc<Notify>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while pending.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut sources, mut bodies, mut lines, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for it in batch.drain(..) {
            sources.push(it.source);
            bodies.push(it.body);
            lines.push(Value::from(it.lines));
            answers.push(it.answer);
        }
        let kept = sqlx::query(
            "insert into webhook_journal (source, body, lines, owner)
             select j.source, j.body, j.lines, $4 from unnest($1::text[], $2::bytea[], $3::json[]) with ordinality as j(source, body, lines, n)
              order by j.n",
        )
        .bind(sources)
        .bind(bodies)
        .bind(lines)
        .bind(node)
        .execute(&pool)
        .await
        .map_err(Arc::new);
        grown.notify_one();
        for answer in answers {
            drop(answer.send(kept.as_ref().map(|_| ()).map_err(Arc::clone)));
        }
    }
}

/// This node's webhooks that nobody has looked at, after `cursor`.
///
/// # Errors
/// The database.
pub async fn fresh(pool: &PgPool, node: Uuid, cursor: i64, limit: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
    read(pool, "id > $2 and attempts = 0", node, cursor, limit).await
}

/// This node's webhooks that were put off or taken over, and are due.
///
/// # Errors
/// The database.
pub async fn put_off(pool: &PgPool, node: Uuid, limit: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
    read(pool, "attempts > $2 and due_at <= now()", node, 0, limit).await
}

async fn read(pool: &PgPool, which: &str, node: Uuid, bound: i64, limit: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
    let statement = format!(
        "select id, body, lines, attempts from webhook_journal where owner = $1 and state = 0 and {which} order by id limit $3"
    );
    let rows = sqlx::query(&statement).bind(node).bind(bound).bind(limit).fetch_all(pool).await?;
    rows.into_iter()
        .map(|row| {
            Ok(JournalRow {
                id: row.try_get("id")?,
                body: row.try_get("body")?,
                lines: row.try_get::<Json<Vec<String>>, _>("lines")?.0,
                attempts: row.try_get("attempts")?,
            })
        })
        .collect()
}
