//! What is asked at the same time is asked together: while one statement runs, the next questions gather, and share
//! the next one, its round trip and its commit. Under light load a question waits for nobody.

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
    let answers = ask(batch.iter().map(|it| it.question.clone()).collect()).await;
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
                let alone = ask(vec![question]).await;
                drop(answer.send(alone.and_then(|answers| answers.into_iter().next().ok_or(sqlx::Error::RowNotFound))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers, one statement at a time; 13 spoils a statement, and 99 finds no database.
    async fn asked(numbers: Vec<u32>) -> (Vec<Result<u32, sqlx::Error>>, usize) {
        let (statements, door) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, opened) = (Arc::clone(&statements), Arc::clone(&door));
        let together = Together::start(64, move |batch: Vec<u32>| {
            counted.fetch_add(1, Ordering::SeqCst);
            let opened = Arc::clone(&opened);
            async move {
                opened.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?.forget();
                opened.add_permits(1);
                match batch.iter().find(|it| [13, 99].contains(*it)) {
                    Some(13) => Err(sqlx::Error::RowNotFound),
                    Some(_) => Err(sqlx::Error::PoolClosed),
                    None => Ok(batch.iter().map(|it| it * 2).collect()),
                }
            }
        });
        let first = together.ask(0);
        let rest = async {
            // The others gather behind the first.
            tokio::task::yield_now().await;
            let rest = join_all(numbers.iter().map(|it| together.ask(*it)));
            door.add_permits(1);
            rest.await
        };
        let (first, rest) = tokio::join!(first, rest);
        assert_eq!(first.ok(), Some(0));
        (rest, statements.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn what_is_asked_at_the_same_time_shares_a_statement() {
        let (answers, statements) = asked((101..=150).collect()).await;
        assert_eq!(
            answers.into_iter().filter_map(Result::ok).collect::<Vec<_>>(),
            (101..=150).map(|it| it * 2).collect::<Vec<_>>()
        );
        assert!(statements <= 3, "{statements}");
    }

    #[tokio::test]
    async fn whoever_spoils_it_does_so_for_itself() {
        let (answers, _) = asked(vec![1, 13, 2]).await;
        assert!(matches!(answers[..], [Ok(2), Err(sqlx::Error::RowNotFound), Ok(4)]), "{answers:?}");
    }

    #[tokio::test]
    async fn without_a_database_nobody_is_answered_and_it_is_asked_once() {
        let (answers, statements) = asked(vec![1, 99, 2]).await;
        assert!(answers.iter().all(|it| it.as_ref().is_err_and(is_unavailable)), "{answers:?}");
        assert!(statements <= 4, "{statements}");
    }
}
