//! From the journal to the conversations: all work on one conversation in order, different ones in parallel.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::actor::{Actor, Cause};
use application::channels::InboundItem;
use application::conversations::inbound::{Inbound, Taken};
use application::error::AppError;
use application::time::NewId;
use domain::shared::channel::Address;
use domain::shared::phone::Phone;
use futures::FutureExt;
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::channels::whatsapp::webhook;
use crate::inbound::finisher::{self, Finished, Progress};
use crate::inbound::journal::{self, JournalRow};

/// Queues the conversations are spread over.
const SHARDS: usize = 64;
/// Elements waiting in one queue at most: what bounds the memory of a burst.
const SHARD_QUEUE_MAX: usize = 16;
/// Webhooks read from the journal at a time.
const READ_MAX: i64 = 256;
/// How often the journal is looked at without being woken.
const IDLE: Duration = Duration::from_millis(500);
/// How often what was put off or taken over is looked at.
const PUT_OFF_LOOK: Duration = Duration::from_millis(500);

struct Task {
    item: InboundItem,
    trusted: Arc<[String]>,
    cause: Cause,
    progress: Arc<Progress>,
}

/// Processes this node's journal.
pub struct Processor {
    pool: PgPool,
    node: Uuid,
    ids: Arc<dyn NewId>,
    shards: Vec<mpsc::Sender<Task>>,
    finished: mpsc::Sender<Finished>,
    grown: Arc<Notify>,
}

impl Processor {
    /// Starts the queues.
    pub fn start(pool: PgPool, node: Uuid, inbound: Arc<Inbound>, ids: Arc<dyn NewId>, grown: Arc<Notify>) -> Self {
        let (finished, done) = mpsc::channel(READ_MAX as usize);
        tokio::spawn(finisher::run(pool.clone(), done));
        let shards = (0..SHARDS).map(|_| {
            let (sender, tasks) = mpsc::channel(SHARD_QUEUE_MAX);
            tokio::spawn(work(Arc::clone(&inbound), tasks));
            sender
        });
        Self { pool, node, ids, shards: shards.collect(), finished, grown }
    }

    /// Reads the journal until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (mut cursor, mut put_off_looked) = (0, None::<Instant>);
        while !stop.is_cancelled() {
            let look = put_off_looked.is_none_or(|at| at.elapsed() >= PUT_OFF_LOOK);
            if look {
                put_off_looked = Some(Instant::now());
            }
            let read = self.turn(&mut cursor, look).await;
            let pause = match read {
                Ok(rows) if rows as i64 >= READ_MAX => continue,
                Ok(_) => IDLE,
                Err(error) => {
                    tracing::warn!(%error, "The journal cannot be read");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = self.grown.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn turn(&self, cursor: &mut i64, with_put_off: bool) -> Result<usize, sqlx::Error> {
        // What was put off is older than what is fresh.
        let put_off = if with_put_off { journal::put_off(&self.pool, self.node, READ_MAX).await? } else { Vec::new() };
        if !put_off.is_empty() {
            self.hold(&put_off).await?;
        }
        let fresh = journal::fresh(&self.pool, self.node, *cursor, READ_MAX).await?;
        let read = fresh.len().max(put_off.len());
        for row in put_off {
            self.dispatch(row).await;
        }
        for row in fresh {
            *cursor = (*cursor).max(row.id);
            self.dispatch(row).await;
        }
        Ok(read)
    }

    /// Keeps rows that are under way from being read again; after this time they are, in case they got lost.
    async fn hold(&self, rows: &[JournalRow]) -> Result<(), sqlx::Error> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        sqlx::query("update webhook_journal set due_at = now() + interval '60 seconds' where id = any($1)")
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn dispatch(&self, row: JournalRow) {
        let items = webhook::parse(&row.body);
        let trusted: Arc<[String]> = row.lines.into();
        let causation = Some(format!("webhook:{}", row.id));
        let progress = Progress::new(row.id, row.attempts, items.len().max(1), self.finished.clone());
        if items.is_empty() {
            progress.element(Taken::Done).await;
        }
        for item in items {
            let (correlation, causation) = (self.ids.new_id(), causation.clone());
            let cause = Cause { actor: Actor::Channel, correlation, causation, once: None };
            let task = Task { trusted: Arc::clone(&trusted), cause, progress: Arc::clone(&progress), item };
            let shard = &self.shards[shard_of(&task.item)];
            // A queue ends with its task, and that with the process.
            drop(shard.send(task).await);
        }
    }
}

/// The queue of an element: whatever concerns one contact on one line meets in one.
fn shard_of(item: &InboundItem) -> usize {
    let mut hasher = DefaultHasher::new();
    match item {
        InboundItem::Message { phone_number_id, sender, .. } => {
            (phone_number_id, name_of(&sender.address)).hash(&mut hasher)
        }
        InboundItem::Status { news, .. } => news.provider_message_id.hash(&mut hasher),
        InboundItem::AddressChanged { phone_number_id, from, .. } => (phone_number_id, name_of(from)).hash(&mut hasher),
        InboundItem::Preference { phone_number_id, phone, .. } => {
            (phone_number_id, Some(phone.as_str())).hash(&mut hasher)
        }
        InboundItem::Template(news) => (&news.waba_id, &news.name, &news.language).hash(&mut hasher),
        InboundItem::Parked { reason, .. } => reason.hash(&mut hasher),
    }
    (hasher.finish() % SHARDS as u64) as usize
}

/// The phone when it is told: the same contact may come with it alone or with a user id beside it.
fn name_of(address: &Address) -> Option<&str> {
    address.phone.as_ref().map(Phone::as_str).or(address.user_id.as_deref())
}

async fn work(inbound: Arc<Inbound>, mut tasks: mpsc::Receiver<Task>) {
    while let Some(Task { item, trusted, cause, progress }) = tasks.recv().await {
        let taken = take(&inbound, item, &trusted, &cause).await;
        progress.element(taken).await;
    }
}

/// Tries until the database answers: what was acknowledged is not given up.
async fn take(inbound: &Inbound, item: InboundItem, trusted: &[String], cause: &Cause) -> Taken {
    let mut pause = Duration::from_millis(50);
    loop {
        let attempt = AssertUnwindSafe(inbound.take(item.clone(), trusted, cause)).catch_unwind().await;
        let error = match attempt {
            Ok(Ok(taken)) => return taken,
            Ok(Err(error @ (AppError::Unavailable | AppError::Conflict { .. }))) => error,
            Ok(Err(error)) => return park(&item, &error.to_string(), &error),
            Err(_) => return park(&item, "processing it panicked", &"panic"),
        };
        tracing::warn!(%error, "An element of a webhook has to wait");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn park(item: &InboundItem, reason: &str, error: &dyn std::fmt::Debug) -> Taken {
    tracing::error!(?error, reason, "An element of a webhook was parked");
    Taken::Parked {
        tenant: None,
        reason: reason.to_owned(),
        element: serde_json::json!({ "item": format!("{item:?}") }),
    }
}
