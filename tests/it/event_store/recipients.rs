//! Recipients of bulk sends: handed over by the statement that writes their message, and by who holds them alone.

use application::commands::Conclude;
use domain::shared::ids::{BulkSendId, MessageId};
use infrastructure::event_store::append::{Append, AppendError, AppendResult};
use sqlx::PgPool;
use uuid::Uuid;

use crate::event_store::appends::together;
use crate::event_store::given::{Log, append, key};

/// Each recipient's state, its message, and whether somebody holds it.
async fn recipients(pool: &PgPool) -> Vec<(i16, Option<Uuid>, bool)> {
    sqlx::query_as("select state, message_id, lease_token is not null from bulk_recipients order by number")
        .fetch_all(pool)
        .await
        .expect("rows")
}

async fn insert(log: &Log, bulk: Uuid, number: i32, token: Uuid) {
    let row =
        "insert into bulk_recipients (bulk_send_id, number, tenant_id, phone, lease_token) values ($1, $2, $3, '', $4)";
    let row = sqlx::query(row).bind(bulk).bind(number).bind(log.stream(0).tenant.0).bind(token);
    row.execute(&log.database.pool).await.expect("a recipient");
}

#[tokio::test]
async fn a_recipient_is_handed_over_with_its_message_and_by_who_holds_it_alone() {
    let log = Log::empty().await;
    let (bulk, ours, theirs) = (BulkSendId(Uuid::new_v4()), Uuid::new_v4(), Uuid::new_v4());
    for (number, token) in (0..).zip([ours, ours, ours, theirs, ours]) {
        insert(&log, bulk.0, number, token).await;
    }
    let hands_over = |n: u32, number: i32| {
        let message = MessageId(Uuid::from_u128(u128::from(n)));
        let conclude = Some(Conclude::Recipient { bulk, number, token: ours, message });
        Append { conclude, ..append(&log.stream(n), 0, &[log.captured(n)]) }
    };
    // The second 1 comes again, as after an answer that was lost; 3 is somebody else's by now; 9 is nobody.
    let appends = [(0, 0), (1, 1), (2, 2), (3, 3), (11, 1), (19, 9)].map(|(n, number)| hands_over(n, number));
    let results = together(&log, appends.into()).await;
    let lost = |result: &AppendResult| matches!(result, Err(AppendError::LeaseLost));
    assert_eq!(results.iter().map(lost).collect::<Vec<_>>(), [false, false, false, true, true, true], "{results:?}");
    assert_eq!(log.count("events").await, 1 + 3, "the primer's, and one each");
    let handed = |n: u128| (2, Some(Uuid::from_u128(n)), false);
    assert_eq!(
        recipients(&log.database.pool).await,
        [handed(0), handed(1), handed(2), (0, None, true), (0, None, true)]
    );
}

#[tokio::test]
async fn who_was_handed_over_by_a_key_before_is_not_written_to_again() {
    let log = Log::empty().await;
    let (bulk, token, message) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    insert(&log, bulk, 0, token).await;
    insert(&log, bulk, 1, token).await;
    let mut once = key(&format!("bulk:{bulk}:0"));
    once.reference = message.to_string();
    let with_key = Append { once: vec![once], ..append(&log.stream(1), 0, &[log.captured(1)]) };
    log.appender.append(with_key).await.expect("stored");
    let migration = include_str!("../../../migrations/20261129100000_tokens_are_leases.sql");
    let concludes = migration.split_inclusive(';').next().expect("its first statement");
    sqlx::query(concludes).execute(&log.database.pool).await.expect("concluded");
    assert_eq!(recipients(&log.database.pool).await, [(2, Some(message), false), (0, None, true)]);
}

#[tokio::test]
async fn only_what_is_claimed_can_have_a_lease() {
    let log = Log::empty().await;
    insert(&log, Uuid::new_v4(), 0, Uuid::new_v4()).await;
    log.in_flight(Uuid::new_v4()).await;
    for leaves_it_behind in ["update bulk_recipients set state = 3", "update outbox set state = 3"] {
        let refused = sqlx::query(leaves_it_behind).execute(&log.database.pool).await.expect_err("a lease is left");
        let code = refused.as_database_error().and_then(|it| it.code());
        assert_eq!(code.as_deref(), Some("23514"), "{leaves_it_behind}: {refused}");
    }
}
