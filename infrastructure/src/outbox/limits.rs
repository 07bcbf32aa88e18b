//! How fast messages may go: per line (80 a second by default) and per pair of line and customer (one in six
//! seconds, 45 at once; Meta, about-the-platform). Replies to many customers share the line's bucket only.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Messages of a pair at once.
const PAIR_BURST: NonZeroU32 = NonZeroU32::new(45).expect("not zero");
/// Time between messages of a pair in the long run.
const PAIR_PERIOD: Duration = Duration::from_secs(6);
/// Messages in flight on one line: a slow line holds up only itself.
const LINE_IN_FLIGHT_MAX: usize = 96;
/// Broadcasts among them.
const BROADCASTS_IN_FLIGHT_MAX: usize = 80;
/// The part of a line's rate that broadcasts leave to conversations, who so never wait behind them.
const KEPT_BACK: f64 = 0.1;

/// What this node has sent lately.
pub struct Limits {
    clock: DefaultClock,
    lines: Mutex<HashMap<String, LineBucket>>,
    pairs: DefaultKeyedRateLimiter<(String, String)>,
}

/// Tokens of a line, refilled as time passes up to one second's worth. Broadcasts leave a part of them to conversations.
struct LineBucket {
    per_second: u32,
    tokens: f64,
    refilled: Instant,
    everything: Gate,
    broadcasts: Gate,
}

/// What is in flight, and until when nothing more goes.
#[derive(Default)]
struct Gate {
    in_flight: usize,
    blocked_until: Option<Instant>,
}

impl Gate {
    fn is_closed(&mut self, now: Instant, most: usize) -> bool {
        if self.blocked_until.is_some_and(|until| until <= now) {
            self.blocked_until = None;
        }
        self.blocked_until.is_some() || self.in_flight >= most
    }
}

impl LineBucket {
    fn new(per_second: u32) -> Self {
        let tokens = f64::from(per_second.max(1));
        Self { per_second, tokens, refilled: Instant::now(), everything: Gate::default(), broadcasts: Gate::default() }
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Instant, is_broadcast: bool) -> Result<(), Duration> {
        let rate = f64::from(self.per_second.max(1));
        self.tokens = (self.tokens + rate * now.duration_since(self.refilled).as_secs_f64()).min(rate);
        self.refilled = now;
        let needed = if is_broadcast { 1.0 + (rate * KEPT_BACK).max(1.0).min(rate - 1.0) } else { 1.0 };
        if self.tokens < needed {
            return Err(Duration::from_secs_f64((needed - self.tokens) / rate));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

impl Limits {
    /// Nothing sent yet.
    pub fn new() -> Self {
        let quota =
            Quota::with_period(PAIR_PERIOD).unwrap_or(Quota::per_minute(NonZeroU32::MIN)).allow_burst(PAIR_BURST);
        Self { clock: DefaultClock::default(), lines: Mutex::new(HashMap::new()), pairs: RateLimiter::keyed(quota) }
    }

    /// Lines that take nothing at the moment, and those that take no broadcasts.
    pub fn closed_lines(&self) -> (Vec<String>, Vec<String>) {
        let now = Instant::now();
        let (mut everything, mut broadcasts) = (Vec::new(), Vec::new());
        for (line, bucket) in self.lines().iter_mut() {
            if bucket.everything.is_closed(now, LINE_IN_FLIGHT_MAX) {
                everything.push(line.clone());
            } else if bucket.broadcasts.is_closed(now, BROADCASTS_IN_FLIGHT_MAX) {
                broadcasts.push(line.clone());
            }
        }
        (everything, broadcasts)
    }

    /// Takes the right to send one message now, or says how long to wait. Without a recipient there is no pair limit.
    ///
    /// # Errors
    /// The wait.
    pub fn take(
        &self,
        line: &str,
        per_second: u32,
        recipient: Option<&str>,
        is_broadcast: bool,
    ) -> Result<(), Duration> {
        let mut lines = self.lines();
        let bucket = lines.entry(line.to_owned()).or_insert_with(|| LineBucket::new(per_second));
        bucket.per_second = per_second;
        let now = Instant::now();
        if let Err(wait) = bucket.take(now, is_broadcast) {
            let gate = if is_broadcast { &mut bucket.broadcasts } else { &mut bucket.everything };
            gate.blocked_until = gate.blocked_until.max(Some(now + wait));
            return Err(wait);
        }
        if let Some(recipient) = recipient {
            let pair = (line.to_owned(), recipient.to_owned());
            self.pairs.check_key(&pair).map_err(|not_until| not_until.wait_time_from(self.clock.now()))?;
        }
        bucket.everything.in_flight += 1;
        bucket.broadcasts.in_flight += usize::from(is_broadcast);
        Ok(())
    }

    /// A message that was taken came back.
    pub fn give_back(&self, line: &str, is_broadcast: bool) {
        if let Some(bucket) = self.lines().get_mut(line) {
            bucket.everything.in_flight = bucket.everything.in_flight.saturating_sub(1);
            bucket.broadcasts.in_flight = bucket.broadcasts.in_flight.saturating_sub(usize::from(is_broadcast));
        }
    }

    /// A message that was taken does not leave after all: somebody else takes its place.
    pub fn give_up(&self, line: &str, is_broadcast: bool) {
        self.give_back(line, is_broadcast);
        if let Some(bucket) = self.lines().get_mut(line) {
            bucket.tokens += 1.0;
        }
    }

    /// The channel asked to slow a line down.
    pub fn block(&self, line: &str, pause: Duration) {
        if let Some(bucket) = self.lines().get_mut(line) {
            let gate = &mut bucket.everything;
            gate.blocked_until = gate.blocked_until.max(Some(Instant::now() + pause));
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
        let taken = (0..30).filter(|n| limits.take("1", 20, Some(&n.to_string()), false).is_ok()).count();
        assert!((20..=22).contains(&taken), "{taken}");
        assert_eq!(limits.closed_lines().0, ["1"]);
        assert!(limits.take("2", 20, Some("a"), false).is_ok());
    }

    #[test]
    fn broadcasts_leave_a_part_of_the_line_to_conversations() {
        let limits = Limits::new();
        let taken = (0..200).filter(|_| limits.take("1", 100, None, true).is_ok()).count();
        assert!((89..=92).contains(&taken), "{taken}");
        assert_eq!(limits.closed_lines(), (vec![], vec!["1".to_owned()]));
        assert!(limits.take("1", 100, None, false).is_ok(), "a reply does not wait");
        let taken = std::iter::from_fn(|| limits.take("1", 100, None, false).ok()).count();
        assert!(taken < 20 && limits.take("1", 100, None, false).is_err(), "{taken}");
        limits.give_up("1", false);
        assert!(limits.take("1", 100, None, false).is_ok(), "what did not leave took nothing");
        assert!(limits.take("one", 1, None, true).is_ok(), "a slow line takes broadcasts too");
    }

    #[test]
    fn a_pair_takes_its_burst_and_then_waits_seconds() {
        let limits = Limits::new();
        let refused = (0..46).find_map(|_| limits.take("1", 1_000, Some("a"), false).err());
        assert!(refused.is_some_and(|wait| wait > Duration::from_secs(4)), "{refused:?}");
        assert!(limits.take("1", 1_000, Some("b"), false).is_ok(), "another customer is not held up");
    }
}
