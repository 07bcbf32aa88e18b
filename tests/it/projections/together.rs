//! Live projections take their turn together.

use infrastructure::event_store::live::LiveProjections;
use infrastructure::event_store::projector::Turn;

use sqlx::PgPool;
use tests::app::eventually;

use crate::projections::history::{dump, forget, lived, projections};

fn live(pool: &PgPool) -> LiveProjections {
    LiveProjections { projections: projections(pool, 1_000), keys: tests::keys(pool), pool: pool.clone() }
}

/// Turns until all but `except` have nothing more to read.
async fn drained(live: &LiveProjections, except: Option<&str>) {
    let names = live.projections.iter().map(|it| it.name()).filter(|name| Some(*name) != except);
    let names: Vec<&str> = names.collect();
    let behind = "select count(*) from events e join projections p on p.name = any($1) and p.role = 'live'
                     and (e.log_epoch, e.transaction_id, e.global_position) > (p.log_epoch, p.transaction_id, p.position)";
    eventually("projections at the head of the log", async || {
        live.turn().await.expect("a turn");
        let left: i64 = sqlx::query_scalar(behind).bind(&names).fetch_one(&live.pool).await.expect("a count");
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn eight_at_one_place_read_the_log_once_and_give_what_each_gives_alone() {
    let database = lived().await;
    let before = dump(&database.pool).await;
    forget(&database.pool).await;
    let live = live(&database.pool);
    let taken = live.turn().await.expect("a turn");
    let read: Vec<_> = taken.iter().map(|(_, turn)| turn).collect();
    assert_eq!(read.len(), 8, "each took its turn");
    assert!(
        matches!(read[0], Turn::Advanced { events: 100.., .. }) && read.iter().all(|it| *it == read[0]),
        "{read:?}"
    );
    drained(&live, None).await;
    assert_eq!(dump(&database.pool).await, before);
}

#[tokio::test]
async fn one_that_cannot_write_holds_up_none_of_the_others() {
    let database = lived().await;
    let pool = &database.pool;
    let before = dump(pool).await;
    forget(pool).await;
    let run = async |sql: &str| {
        sqlx::query(sql).execute(pool).await.expect("a statement");
    };
    run("alter table message_view add constraint shut check (false)").await;
    drained(&live(pool), Some("message_view")).await;
    let others: Vec<_> = before.iter().filter(|row| row.0 != "message_view").cloned().collect();
    assert_eq!(dump(pool).await, others);
    run("alter table message_view drop constraint shut").await;
    drained(&live(pool), None).await;
    assert_eq!(dump(pool).await, before, "and it catches up from where it stood");
}
