//! What the outbox says of itself: every change of a row is told to `queue_log` by the statement that makes it. A message
//! that goes straight to the sender is not told of before something comes of it: its first row says when it came in, and
//! whoever reads the log sees both.

use domain::shared::provider_error::{ErrorClass, ProviderError};

/// An error as rows keep it: the channel's words, and its code where it has one.
pub fn said(error: &ProviderError) -> String {
    match code(error) {
        Some(code) => format!("{} ({code})", error.title),
        None => error.title.clone(),
    }
}

/// The channel's code. 0 is one of Meta's (class E); ours has none.
pub fn code(error: &ProviderError) -> Option<i64> {
    Some(error.code).filter(|code| *code != 0 || error.class == ErrorClass::Sender)
}

/// A statement that changes rows of the outbox and tells the log of each: `$change` returns the rows as `o`, and the
/// rest is what the log says of them.
macro_rules! told {
    ($change:literal, $outcome:literal, $code:literal, $class:literal, $reason:literal, $next:literal) => {
        concat!(
            "with moved as (",
            $change,
            " returning o.*), logged as (
                insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, attempts, queued_at, code, class,
                                       reason, next_try_at)
                select tenant_id, bucket, lane, message_id, retry, '",
            $outcome,
            "', attempts, created_at, ",
            $code,
            ", ",
            $class,
            ", ",
            $reason,
            ", ",
            $next,
            " from moved)
             select count(*) from moved"
        )
    };
    ($change:literal, $outcome:literal, $reason:literal) => {
        $crate::outbox::queue_log::told!($change, $outcome, "null", "null", $reason, "null")
    };
}
pub(crate) use told;

/// A statement that puts messages back into the queue, which is told of those that went straight to the sender: they
/// wait now. Of the others nothing happened that the log would tell of.
macro_rules! waits {
    ($change:literal) => {
        concat!(
            "with moved as (",
            $change,
            " returning o.*)
             insert into queue_log (tenant_id, line, lane, message_id, retry, outcome, queued_at, at)
             select tenant_id, bucket, lane, message_id, retry, 'queued', created_at, created_at from moved m
              where not exists (select from queue_log l where l.message_id = m.message_id)"
        )
    };
}
pub(crate) use waits;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_errors_have_no_code_and_metas_zero_has() {
        let error = |code, class| ProviderError { code, class, title: "no".into(), details: None };
        assert_eq!(said(&error(131_026, ErrorClass::Recipient)), "no (131026)");
        assert_eq!(said(&error(0, ErrorClass::Request)), "no");
        assert_eq!(said(&error(0, ErrorClass::Sender)), "no (0)");
    }
}
