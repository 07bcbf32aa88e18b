//! What is old goes; what is not done stays, however old.

use infrastructure::retention;
use tests::cluster::TestDatabase;
use uuid::Uuid;

#[tokio::test]
async fn old_webhooks_go_once_they_are_done() {
    let database = TestDatabase::create().await;
    for (state, age) in [(0, 30), (1, 30), (2, 30), (1, 1)] {
        sqlx::query(
            "insert into webhook_journal (source, body, lines, owner, state, received_at)
             values ('whatsapp', '', '[]', $1, $2, now() - interval '1 day' * $3)",
        )
        .bind(Uuid::nil())
        .bind(state)
        .bind(f64::from(age))
        .execute(&database.pool)
        .await
        .expect("a webhook");
    }
    assert_eq!(retention::sweep(&database.pool).await.expect("a sweep"), 2);
    let left: Vec<i16> = sqlx::query_scalar("select state from webhook_journal order by state")
        .fetch_all(&database.pool)
        .await
        .expect("what is left");
    assert_eq!(left, [0, 1]);
}
