//! What the channel's answer to a message leads to, by class of error and by what the error is about.

use std::time::Duration;

use application::channels::{Accepted, SendError};
use domain::shared::provider_error::{ErrorClass, ProviderError};
use rand::Rng;

use crate::channels::whatsapp::errors::{PAIR_RATE, Scope, scope};

/// Tries of a message that meets transient errors.
const ATTEMPTS_MAX: i32 = 8;
/// Tries of a message whose error may be ours as well as theirs (1: invalid request or server error; 131053: media upload).
const DUBIOUS_ATTEMPTS_MAX: i32 = 2;
/// The longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(3_600);

/// What to do with a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is sent.
    Sent(Accepted),
    /// It will never arrive.
    Failed(ProviderError),
    /// Try again after this; the whole line pauses with it when `line` is set.
    Again {
        /// When.
        after: Duration,
        /// The line is to slow down too.
        line: bool,
        /// Why.
        error: ProviderError,
    },
    /// Nothing goes out on the line until a person acts; the message waits.
    StopLine(ProviderError),
    /// Nobody knows.
    InDoubt(String),
}

/// Judges an answer to a message that was tried `attempts` times and has been `resent` or not.
pub fn judge(answer: Result<Accepted, SendError>, attempts: i32, resent: bool) -> Verdict {
    match answer {
        Ok(accepted) => Verdict::Sent(accepted),
        Err(SendError::NotSent(error)) => {
            Verdict::Again { after: backoff(attempts), line: false, error: not_sent(error) }
        }
        Err(SendError::InDoubt(error)) if resent => Verdict::Failed(unanswered(error)),
        Err(SendError::InDoubt(error)) => Verdict::InDoubt(error),
        Err(SendError::Refused { error, retry_after_ms }) => refused(error, retry_after_ms, attempts),
    }
}

fn refused(error: ProviderError, retry_after_ms: Option<u64>, attempts: i32) -> Verdict {
    let tries = match (error.class, error.code) {
        (_, 1 | 131_053) => DUBIOUS_ATTEMPTS_MAX,
        (ErrorClass::Transient, _) => ATTEMPTS_MAX,
        (ErrorClass::Sender, _) => return Verdict::StopLine(error),
        (ErrorClass::Recipient | ErrorClass::RecipientConditional | ErrorClass::Template | ErrorClass::Request, _) => 1,
    };
    if attempts >= tries {
        return Verdict::Failed(error);
    }
    let asked = retry_after_ms.map(Duration::from_millis);
    let pair = error.code == PAIR_RATE;
    let own =
        if pair { Duration::from_secs(4_u64.saturating_pow(attempts.unsigned_abs() - 1)) } else { backoff(attempts) };
    let line = scope(error.code) == Scope::Line;
    Verdict::Again { after: asked.unwrap_or(own).min(BACKOFF_MAX), line, error }
}

/// Full jitter under 1 s, 2 s, 4 s, … 1 h.
fn backoff(attempts: i32) -> Duration {
    let exponent = attempts.clamp(1, 13).unsigned_abs() - 1;
    let bound = BACKOFF_MAX.as_millis().min(1_000 << exponent) as u64;
    Duration::from_millis(rand::rng().random_range(bound / 4..=bound))
}

fn not_sent(title: String) -> ProviderError {
    ProviderError { code: 0, class: ErrorClass::Transient, title, details: None }
}

fn unanswered(details: String) -> ProviderError {
    let title = "sent twice, and the channel answered neither time".to_owned();
    ProviderError { code: 0, class: ErrorClass::Transient, title, details: Some(details) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::whatsapp::errors::classify;

    fn refusal(code: i64) -> Result<Accepted, SendError> {
        let error = ProviderError { code, class: classify(code, Some(400)), title: "no".into(), details: None };
        Err(SendError::Refused { error, retry_after_ms: None })
    }

    #[test]
    fn each_class_has_its_verdict() {
        type Expected = fn(&Verdict) -> bool;
        let cases: [(i64, Expected); 8] = [
            (131_016, |it| matches!(it, Verdict::Again { line: false, .. })),
            (130_429, |it| matches!(it, Verdict::Again { line: true, .. })),
            (131_056, |it| matches!(it, Verdict::Again { line: false, after, .. } if *after == Duration::from_secs(1))),
            (131_026, |it| matches!(it, Verdict::Failed(_))),
            (131_047, |it| matches!(it, Verdict::Failed(_))),
            (132_001, |it| matches!(it, Verdict::Failed(_))),
            (131_042, |it| matches!(it, Verdict::StopLine(_))),
            (131_009, |it| matches!(it, Verdict::Failed(_))),
        ];
        for (code, expected) in cases {
            let verdict = judge(refusal(code), 1, false);
            assert!(expected(&verdict), "{code}: {verdict:?}");
        }
    }

    #[test]
    fn transient_errors_end_after_eight_tries_and_doubt_after_the_second() {
        assert!(matches!(judge(refusal(131_016), 7, false), Verdict::Again { .. }));
        assert!(matches!(judge(refusal(131_016), 8, false), Verdict::Failed(_)));
        let doubt = || Err(SendError::InDoubt("timeout".into()));
        assert!(matches!(judge(doubt(), 1, false), Verdict::InDoubt(_)));
        assert!(matches!(judge(doubt(), 2, true), Verdict::Failed(_)));
    }
}
