//! What is asked at the same time is asked together: while one statement runs, the next questions gather, and share
//! the next one, its round trip and its commit. Under light load a question waits for nobody.

use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::event_store::append::is_unavailable;
use crate::postgres::pool;

/// Questions waiting at most, for each that shares a statement; more wait at the door.
const QUEUED: usize = 32;
/// How long a connection is kept for the next questions. The pool hands out whichever has waited longest, so that all of
/// them would come to plan and cache every statement, and it asks each that comes back whether it stands.
const KEPT: Duration = Duration::from_millis(100);

struct Asked<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, sqlx::Error>>,
}

/// Asks questions of one kind together.
pub struct Together<Q, A> {
    queue: mpsc::Sender<Asked<Q, A>>,
}

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Together<Q, A> {
    /// `ask` answers up to `most` questions, in their order, or none of them. Ends with the last handle.
    pub fn start(pool: PgPool, most: usize, ask: impl Ask<Q, A>) -> Self {
        let (queue, mut waiting) = mpsc::channel(most * QUEUED);
        tokio::spawn(async move {
            let mut asker = Asker { pool, ask, kept: None };
            let mut batch = Vec::with_capacity(most);
            loop {
                let more = match &asker.kept {
                    Some(_) => timeout(KEPT, waiting.recv_many(&mut batch, most)).await.ok(),
                    None => Some(waiting.recv_many(&mut batch, most).await),
                };
                match more {
                    Some(0) => break,
                    Some(_) => asker.settle(std::mem::take(&mut batch)).await,
                    None => asker.kept = None,
                }
            }
        });
        Self { queue }
    }

    /// Asks.
    ///
    /// # Errors
    /// The database; it may be what it told somebody who asked at the same time.
    pub async fn ask(&self, question: Q) -> Result<A, sqlx::Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Asked { question, answer }).await.map_err(|_| sqlx::Error::PoolClosed)?;
        answered.await.map_err(|_| sqlx::Error::PoolClosed)?
    }
}

/// Answers questions on a connection.
pub trait Ask<Q, A>:
    for<'c> Fn(&'c mut PgConnection, Vec<Q>) -> BoxFuture<'c, Result<Vec<A>, sqlx::Error>> + Send + Sync + 'static
{
}

impl<Q, A, T> Ask<Q, A> for T where
    T: for<'c> Fn(&'c mut PgConnection, Vec<Q>) -> BoxFuture<'c, Result<Vec<A>, sqlx::Error>> + Send + Sync + 'static
{
}

/// Who asks, with the connection it keeps while it is busy.
struct Asker<F> {
    pool: PgPool,
    ask: F,
    kept: Option<PoolConnection<Postgres>>,
}

impl<F> Asker<F> {
    /// After an error the connection goes back, where it is asked whether it stands; so it does when others may wait for
    /// it, or the pool closes.
    async fn ask<Q, A>(&mut self, questions: Vec<Q>) -> Result<Vec<A>, sqlx::Error>
    where
        F: Ask<Q, A>,
    {
        let mut connection = match self.kept.take() {
            Some(kept) => kept,
            None => self.pool.acquire().await?,
        };
        let answers = (self.ask)(&mut connection, questions).await?;
        self.kept = Some(connection).filter(|_| pool::may_keep(&self.pool));
        Ok(answers)
    }

    /// Answers a batch; when one question spoils it for all, each is asked on its own.
    async fn settle<Q: Clone, A>(&mut self, batch: Vec<Asked<Q, A>>)
    where
        F: Ask<Q, A>,
    {
        // Who asked may be gone; what was asked for is done all the same.
        let answers = self.ask(batch.iter().map(|it| it.question.clone()).collect()).await;
        match (answers, batch.len()) {
            (Ok(answers), _) => {
                for (asked, answer) in batch.into_iter().zip(answers) {
                    drop(asked.answer.send(Ok(answer)));
                }
            }
            (Err(error), 1) => {
                let only = batch.into_iter().next();
                drop(only.map(|asked| asked.answer.send(Err(error))));
            }
            (Err(error), _) if is_unavailable(&error) => {
                tracing::debug!(%error, many = batch.len(), "Nobody who asked together was answered");
                for asked in batch {
                    drop(asked.answer.send(Err(sqlx::Error::PoolTimedOut)));
                }
            }
            (Err(_), _) => {
                for Asked { question, answer } in batch {
                    let alone = self.ask(vec![question]).await;
                    let only = |answers: Vec<A>| answers.into_iter().next().ok_or(sqlx::Error::RowNotFound);
                    drop(answer.send(alone.and_then(only)));
                }
            }
        }
    }
}
