//! The clocks and the source of ids behind the ports of `application::time`.

use std::sync::{Arc, Mutex, PoisonError};

use application::time::{Clock, NewId};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::Uuid;

/// The machine's clock, cut to milliseconds: what is stored, sent and compared has one precision.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// Random ids (UUID version 7): they sort by the millisecond they were drawn in, which keeps indexes dense.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl NewId for RandomIds {
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A clock that stands still until a test moves it. Clones show the same time.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    /// A clock showing `instant`.
    #[must_use]
    pub fn new(instant: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(instant)))
    }

    /// Shows `instant` from now on, be it earlier or later.
    pub fn set(&self, instant: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = instant;
    }

    /// Moves by `step`, backwards when it is negative.
    pub fn advance(&self, step: TimeDelta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += step;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_shows_whole_milliseconds() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000_000, 0);
    }

    #[test]
    fn clones_of_a_test_clock_move_together() {
        let clock = TestClock::new(DateTime::UNIX_EPOCH);
        let seen = clock.clone();
        clock.advance(TimeDelta::seconds(90));
        assert_eq!(seen.now().timestamp(), 90);
        seen.set(DateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn ids_differ_and_are_of_version_7() {
        let (first, second) = (RandomIds.new_id(), RandomIds.new_id());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
    }
}
