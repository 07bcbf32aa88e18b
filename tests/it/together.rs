//! Questions that share a statement, and the connection that stays with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use infrastructure::event_store::append::is_unavailable;
use infrastructure::postgres::pool;
use infrastructure::together::Together;
use sqlx::PgPool;
use tests::cluster::TestDatabase;
use tokio::sync::Semaphore;

type Answer = Result<i32, sqlx::Error>;

/// Doubles numbers; 13 spoils the statement, and 99 ends the server's process.
const DOUBLE: &str =
    "select n * 2 + 0 / (n - 13) + case when n = 99 then pg_terminate_backend(pg_backend_pid())::int else 0 end
                        from unnest($1::int[]) with ordinality as u(n, at) order by at";

/// What 0 asks alone and `numbers` ask behind it, and how many statements that took.
async fn asked(pool: &PgPool, numbers: Vec<i32>) -> (Together<i32, i32>, Vec<Answer>, usize) {
    let (statements, door) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, opened) = (Arc::clone(&statements), Arc::clone(&door));
    let together = Together::start(pool.clone(), 64, move |connection, batch: Vec<i32>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let opened = Arc::clone(&opened);
        async move {
            opened.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?.forget();
            opened.add_permits(1);
            sqlx::query_scalar(DOUBLE).bind(batch).fetch_all(connection).await
        }
        .boxed()
    });
    let rest = async {
        while statements.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // The others gather behind the first.
        let rest = join_all(numbers.iter().map(|it| together.ask(*it)));
        door.add_permits(1);
        rest.await
    };
    let (first, rest) = tokio::join!(together.ask(0), rest);
    assert_eq!(first.ok(), Some(0));
    (together.clone(), rest, statements.load(Ordering::SeqCst))
}

/// Connections, all of them open.
async fn three(database: &TestDatabase) -> PgPool {
    let pool = pool::connect(database.options.clone(), "three", 3).await.expect("a pool");
    drop(join_all((0..3).map(|_| pool.acquire())).await);
    pool
}

/// Tells the process of the server that answers.
fn whom(pool: &PgPool) -> Together<(), i32> {
    Together::start(pool.clone(), 1, |connection, asked: Vec<()>| {
        async move {
            let process = sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await?;
            Ok(asked.into_iter().map(|()| process).collect())
        }
        .boxed()
    })
}

#[tokio::test]
async fn fifty_that_ask_at_the_same_time_share_a_statement() {
    let database = TestDatabase::create().await;
    let (_, answers, statements) = asked(&database.pool, (101..=150).collect()).await;
    let answers: Vec<i32> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(answers, (101..=150).map(|it| it * 2).collect::<Vec<_>>());
    assert!(statements <= 3, "{statements}");
}

#[tokio::test]
async fn whoever_spoils_it_does_so_for_itself() {
    let database = TestDatabase::create().await;
    let (_, answers, _) = asked(&database.pool, vec![1, 13, 2]).await;
    assert!(matches!(answers[..], [Ok(2), Err(sqlx::Error::Database(_)), Ok(4)]), "{answers:?}");
}

#[tokio::test]
async fn without_the_database_nobody_is_answered_it_is_asked_once_and_the_next_finds_another_connection() {
    let database = TestDatabase::create().await;
    let (together, answers, statements) = asked(&database.pool, vec![1, 99, 2]).await;
    assert!(answers.iter().all(|it| it.as_ref().is_err_and(is_unavailable)), "{answers:?}");
    assert!(statements <= 4, "{statements}");
    assert_eq!(together.ask(21).await.ok(), Some(42));
}

#[tokio::test]
async fn who_is_busy_keeps_its_connection_and_gives_it_back_when_it_has_nothing_to_ask() {
    let database = TestDatabase::create().await;
    let pool = three(&database).await;
    let together = whom(&pool);
    let mut processes = Vec::new();
    for _ in 0..21 {
        processes.push(together.ask(()).await.expect("an answer"));
    }
    // The pool would hand round whichever had waited longest. A slow machine may have let one go.
    let kept = processes.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(kept >= 15, "{processes:?}");
    let all = tokio::time::timeout(Duration::from_secs(2), join_all((0..3).map(|_| pool.acquire()))).await;
    assert!(all.is_ok_and(|all| all.iter().all(Result::is_ok)), "one of three was not given back");
}

#[tokio::test]
async fn twelve_that_are_busy_share_three_connections() {
    let database = TestDatabase::create().await;
    let pool = three(&database).await;
    let busy = (0..12).map(|_| {
        let together = whom(&pool);
        async move {
            for _ in 0..80 {
                together.ask(()).await.expect("an answer, while others keep what they have");
                // Less than a connection is kept for.
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        }
    });
    join_all(busy).await;
}

#[tokio::test]
async fn a_pool_closes_while_somebody_asks() {
    let database = TestDatabase::create().await;
    let pool = three(&database).await;
    let together = whom(&pool);
    let asking = async { while together.ask(()).await.is_ok() {} };
    let closing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.close().await;
    };
    let both = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(asking, closing) }).await;
    assert!(both.is_ok(), "the pool waits for a connection that is kept");
}
