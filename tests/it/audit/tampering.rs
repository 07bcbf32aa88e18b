//! Whoever owns the database changes the log. It is found out every time, and the batch is named.

use application::audit::Range;
use infrastructure::sealing::sealer::Sealer;
use infrastructure::security::secret_box::SecretBox;

use crate::audit::given::Sealed;

/// Numbers of events and the batches they are in: the first, one in the middle, neighbours of a border, the last.
const PLACES: [(i64, i64); 6] = [(1, 1), (1_000, 1), (1_001, 2), (1_500, 2), (2_300, 3), (2_800, 4)];

/// One bit, or the least there is, in every stored column. Whatever moves an event moves it behind the others.
const FLIPS: [&str; 12] = [
    "payload = replace(payload::text, 'Dona', 'Dnna')::json",
    "payload = (payload::text || ' ')::json",
    "metadata = replace(metadata::text, 'user', 'uses')::json",
    "event_type = 'mead.captured'",
    "event_version = '0'",
    "aggregate_type = 'mead'",
    "aggregate_id = aggregate_id || '0'",
    "sequence = sequence # 2",
    "event_id = (left(event_id::text, 35) || translate(right(event_id::text, 1), '0123456789abcdef', '1032547698badcfe'))::uuid",
    "recorded_at = recorded_at + interval '1 microsecond'",
    "transaction_id = ((transaction_id::text::bigint) # (1::bigint << 40))::text::xid8",
    "log_epoch = (log_epoch::int # 2)::smallint",
];

#[tokio::test]
async fn one_changed_bit_in_any_column_names_the_batch() {
    let log = Sealed::four_batches().await;
    log.remember().await;
    assert_eq!(log.verify(None).await.bad, None);
    for flip in FLIPS {
        for (number, batch) in PLACES {
            log.tamper(&format!("update events set {flip} where event_id = {{{number}}}")).await;
            log.is_bad(&format!("{flip} of {number}"), &log.verify(None).await, batch);
            log.restore().await;
        }
    }
    assert_eq!(log.verify(None).await.bad, None, "what was put back is as it was");
}

#[tokio::test]
async fn a_deleted_swapped_or_inserted_row_names_the_batch() {
    let log = Sealed::four_batches().await;
    log.remember().await;
    for (number, batch) in PLACES {
        let other = if number == 2_800 { 2_799 } else { number + 1 };
        let copy = |changes: &str| {
            format!(
                "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                        global_position, transaction_id, log_epoch)
                 select aggregate_type, aggregate_id || 'x', 1, event_type, event_version, payload, metadata, {changes}
                   from events_then where event_id = {{{number}}}"
            )
        };
        let swap = |columns: &str, taken: &str| {
            format!(
                "update events e set ({columns}) = (select {taken} from events_then t where t.event_id =
                        case when e.event_id = {{{number}}} then {{{other}}} else {{{number}}} end)
                  where e.event_id in ({{{number}}}, {{{other}}})"
            )
        };
        for (what, statement) in [
            ("deleted", format!("delete from events where event_id = {{{number}}}")),
            ("contents swapped", swap("payload, metadata", "t.payload, t.metadata")),
            ("contents swapped with their ids", swap("recorded_at, payload", "t.recorded_at, t.payload")),
            ("places swapped", swap("global_position, transaction_id", "t.global_position, t.transaction_id")),
            ("inserted at the same place", copy("global_position, transaction_id, log_epoch")),
            ("inserted before", copy("global_position - 1, transaction_id, log_epoch")),
        ] {
            log.tamper(&statement).await;
            let batch = match what {
                // The event before it is the last one of another batch.
                "inserted before" if number == 1_001 => 1,
                _ => batch,
            };
            log.is_bad(&format!("{what}: {number}"), &log.verify(None).await, batch);
            log.restore().await;
        }
        log.tamper(&copy("0, '3'::xid8, log_epoch")).await;
        log.is_bad(&format!("a copy of {number} before everything"), &log.verify(None).await, 1);
        log.restore().await;
    }
}

#[tokio::test]
async fn a_cut_log_names_the_batch() {
    let log = Sealed::four_batches().await;
    log.sealer().keep_head().await.expect("a head is kept");
    log.remember().await;
    let head = log.verify(None).await.head.expect("a head");
    for (kept, batch) in [(2_799, 4), (2_500, 4), (2_499, 3), (1_000, 2), (0, 1)] {
        let cut = format!(
            "delete from events where event_id in (select event_id from events_then
              order by log_epoch, transaction_id, global_position offset {kept})"
        );
        log.tamper(&cut).await;
        log.is_bad(&format!("cut after {kept}"), &log.verify(None).await, batch);
        // Together with every seal over what is gone, and what follows sealed anew.
        log.tamper(&format!("delete from seals where last_number > {kept}")).await;
        log.is_bad(&format!("cut after {kept}, seals and all"), &log.verify(Some(&head)).await, batch);
        log.restore().await;
    }
    log.tamper("delete from seals where batch = 4").await;
    log.tamper("delete from events where event_id = {2800}").await;
    log.seal().await;
    assert_eq!(log.verify(None).await.bad, None, "the database alone does not know");
    log.is_bad("sealed anew", &log.verify(Some(&head)).await, 4);
    let refused = log.sealer().keep_head().await.expect_err("the evidence stays").to_string();
    assert!(refused.contains("batch 4"), "{refused}");
    log.append(10).await;
    log.seal().await;
    log.sealer().keep_head().await.expect_err("the evidence stays");
    let kept = infrastructure::sealing::head_file::read_in(&log.data_dir()).expect("a file").expect("a head");
    assert_eq!(kept, head);
    log.is_bad("grown again", &log.verify(Some(&kept)).await, 4);
}

#[tokio::test]
async fn changed_seals_are_named() {
    let log = Sealed::four_batches().await;
    log.remember().await;
    for change in [
        "digest = set_byte(digest, 31, get_byte(digest, 31) # 1)",
        "chain = set_byte(chain, 0, get_byte(chain, 0) # 128)",
        "signature = set_byte(signature, 63, get_byte(signature, 63) # 1)",
        "last_number = last_number - 1",
        "first_number = first_number + 1",
        "position = position - 1",
        "log_epoch = 2",
        "key_id = 'another'",
    ] {
        for batch in [1, 2, 4] {
            log.tamper(&format!("update seals set {change} where batch = {batch}")).await;
            log.is_bad(&format!("{change} of {batch}"), &log.verify(None).await, batch);
            log.restore().await;
        }
    }
    for batch in [1, 2, 3] {
        log.tamper(&format!("delete from seals where batch = {batch}")).await;
        log.is_bad("a missing seal", &log.verify(None).await, batch);
        log.restore().await;
    }
}

#[tokio::test]
async fn a_log_sealed_with_another_key_is_not_ours() {
    let log = Sealed::four_batches().await;
    log.tamper("update events set payload = '0'; truncate seals").await;
    log.run("delete from seal_keys").await;
    let forger = Sealer::new(log.database.pool.clone(), SecretBox::new(&[8; 32]), &log.data_dir());
    assert_eq!(log.seal_with(&forger).await, 2_800);
    let verified = log.verify(None).await;
    log.is_bad("forged", &verified, 1);
    assert!(verified.bad.is_some_and(|bad| bad.reason.contains("none of ours")));
}

#[tokio::test]
async fn an_event_moved_to_another_account_is_named() {
    let log = Sealed::four_batches().await;
    log.remember().await;
    log.run("alter table events alter column tenant_id drop expression").await;
    log.tamper("update events set tenant_id = 'somebody-else' where event_id = {1500}").await;
    log.is_bad("moved", &log.verify(None).await, 2);
}

#[tokio::test]
async fn a_range_is_verified_alone() {
    let log = Sealed::four_batches().await;
    log.remember().await;
    log.tamper("update events set event_version = '0' where event_id = {1500}").await;
    let verify = async |from, to| log.verify_range(Range { from, to }, None).await;
    for (from, to, batches, bad) in [
        (None, Some(1_000), 1, None),
        (None, Some(1_001), 1, Some(2)),
        (Some(2_001), None, 2, None),
        (Some(2_000), Some(2_000), 0, Some(2)),
        (Some(2_700), Some(9_999), 1, None),
        (Some(9_999), None, 0, None),
    ] {
        let verified = verify(from, to).await;
        assert_eq!((verified.batches, verified.bad.map(|bad| bad.batch)), (batches, bad), "{from:?} to {to:?}");
        assert_eq!(verified.sealed_to, 2_800);
    }
}
