//! How fast messages may go: per line (80 a second by default) and per pair of line and customer (one in six
//! seconds, 45 at once; Meta, about-the-platform). Replies to many customers share the line's bucket only.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Messages of a pair at once.
const PAIR_BURST: NonZeroU32 = NonZeroU32::new(45).expect("not zero");
/// Time between messages of a pair in the long run.
const PAIR_PERIOD: Duration = Duration::from_secs(6);
/// Messages in flight on one line: a slow line holds up only itself.
const LINE_IN_FLIGHT_MAX: usize = 96;

/// What this node has sent lately.
pub struct Limits {
    clock: DefaultClock,
    lines: Mutex<HashMap<String, LineBucket>>,
    pairs: DefaultKeyedRateLimiter<(String, String)>,
}

struct LineBucket {
    per_second: u32,
    rate: DefaultDirectRateLimiter,
    in_flight: usize,
    blocked_until: Option<Instant>,
}

impl LineBucket {
    fn new(per_second: u32) -> Self {
        let quota = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        Self { per_second, rate: RateLimiter::direct(Quota::per_second(quota)), in_flight: 0, blocked_until: None }
    }
}

impl Limits {
    /// Nothing sent yet.
    pub fn new() -> Self {
        let quota =
            Quota::with_period(PAIR_PERIOD).unwrap_or(Quota::per_minute(NonZeroU32::MIN)).allow_burst(PAIR_BURST);
        Self { clock: DefaultClock::default(), lines: Mutex::new(HashMap::new()), pairs: RateLimiter::keyed(quota) }
    }

    /// Lines that take nothing at the moment.
    pub fn closed_lines(&self) -> Vec<String> {
        let now = Instant::now();
        let mut lines = self.lines();
        let closed = lines.iter_mut().filter_map(|(line, bucket)| {
            if bucket.blocked_until.is_some_and(|until| until <= now) {
                bucket.blocked_until = None;
            }
            (bucket.blocked_until.is_some() || bucket.in_flight >= LINE_IN_FLIGHT_MAX).then(|| line.clone())
        });
        closed.collect()
    }

    /// Takes the right to send one message now, or says how long to wait. Without a recipient there is no pair limit.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, line: &str, per_second: u32, recipient: Option<&str>) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut lines = self.lines();
        let bucket = lines.entry(line.to_owned()).or_insert_with(|| LineBucket::new(per_second));
        if bucket.per_second != per_second {
            let (in_flight, blocked_until) = (bucket.in_flight, bucket.blocked_until);
            *bucket = LineBucket { in_flight, blocked_until, ..LineBucket::new(per_second) };
        }
        if let Err(not_until) = bucket.rate.check() {
            let wait = not_until.wait_time_from(now);
            bucket.blocked_until = Some(Instant::now() + wait);
            return Err(wait);
        }
        if let Some(recipient) = recipient {
            let pair = (line.to_owned(), recipient.to_owned());
            self.pairs.check_key(&pair).map_err(|not_until| not_until.wait_time_from(now))?;
        }
        bucket.in_flight += 1;
        Ok(())
    }

    /// A message that was taken came back.
    pub fn give_back(&self, line: &str) {
        if let Some(bucket) = self.lines().get_mut(line) {
            bucket.in_flight = bucket.in_flight.saturating_sub(1);
        }
    }

    /// The channel asked to slow a line down.
    pub fn block(&self, line: &str, pause: Duration) {
        if let Some(bucket) = self.lines().get_mut(line) {
            bucket.blocked_until = bucket.blocked_until.max(Some(Instant::now() + pause));
        }
    }

    /// Nothing is to be claimed of a line for a while, whether this node has sent on it or not.
    pub fn hold(&self, line: &str, pause: Duration) {
        self.lines().entry(line.to_owned()).or_insert_with(|| LineBucket::new(1));
        self.block(line, pause);
    }

    /// Forgets pairs that have been quiet.
    pub fn forget_quiet(&self) {
        self.pairs.retain_recent();
        self.pairs.shrink_to_fit();
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<String, LineBucket>> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_its_rate_and_then_closes() {
        let limits = Limits::new();
        let taken = (0..30).filter(|n| limits.take("1", 20, Some(&n.to_string())).is_ok()).count();
        assert!((20..=22).contains(&taken), "{taken}");
        assert_eq!(limits.closed_lines(), ["1"]);
        assert!(limits.take("2", 20, Some("a")).is_ok());
    }

    #[test]
    fn a_pair_takes_its_burst_and_then_waits_seconds() {
        let limits = Limits::new();
        let refused = (0..46).find_map(|_| limits.take("1", 1_000, Some("a")).err());
        assert!(refused.is_some_and(|wait| wait > Duration::from_secs(4)), "{refused:?}");
        assert!(limits.take("1", 1_000, Some("b")).is_ok(), "another customer is not held up");
    }
}
