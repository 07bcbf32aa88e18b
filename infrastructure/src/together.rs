//! What is asked at the same time is asked together: while one statement runs, the next questions gather, and share
//! the next one, its round trip and its commit. Under light load a question waits for nobody.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::event_store::append::is_unavailable;

/// Questions waiting at most, for each that shares a statement; more wait at the door.
const QUEUED: usize = 32;

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
    pub fn start<F>(most: usize, ask: impl Fn(Vec<Q>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, sqlx::Error>> + Send,
    {
        let (queue, mut waiting) = mpsc::channel(most * QUEUED);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(most);
            while waiting.recv_many(&mut batch, most).await > 0 {
                settle(&ask, std::mem::take(&mut batch)).await;
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

/// Answers a batch; when one question spoils it for all, each is asked on its own.
async fn settle<Q: Clone, A, F>(ask: &impl Fn(Vec<Q>) -> F, batch: Vec<Asked<Q, A>>)
where
    F: Future<Output = Result<Vec<A>, sqlx::Error>>,
{
    // Who asked may be gone; what was asked for is done all the same.
    match ask(batch.iter().map(|it| it.question.clone()).collect()).await {
        Ok(answers) => {
            for (asked, answer) in batch.into_iter().zip(answers) {
                drop(asked.answer.send(Ok(answer)));
            }
        }
        Err(error) if batch.len() > 1 && !is_unavailable(&error) => {
            for Asked { question, answer } in batch {
                let alone = ask(vec![question]).await;
                drop(answer.send(alone.and_then(|answers| answers.into_iter().next().ok_or(sqlx::Error::RowNotFound))));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for asked in batch {
                drop(asked.answer.send(Err(told(&error))));
            }
        }
    }
}

/// The error, for one of several who share it.
fn told(error: &Arc<sqlx::Error>) -> sqlx::Error {
    if is_unavailable(error) { sqlx::Error::PoolTimedOut } else { sqlx::Error::Decode(Box::new(Arc::clone(error))) }
}
