//! How fast messages may go: per line (80 a second by default) and per pair of line and customer (one in six
//! seconds, 45 at once; Meta, about-the-platform). Replies to many customers share the line's bucket only.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Messages of a pair at once.
const PAIR_BURST: NonZeroU32 = NonZeroU32::new(45).expect("not zero");
/// Time between messages of a pair in the long run.
const PAIR_PERIOD: Duration = Duration::from_secs(6);
/// Messages in flight on one line, at least and at most; between, what it sends in half a second, which the channel's
/// answer may take. A slow line holds up only itself.
const LINE_IN_FLIGHT: (u32, u32) = (96, 512);
/// The part of them that broadcasts may be.
const BROADCASTS_IN_FLIGHT: f64 = 0.8;
/// How long after an answer people are held to talk on a line.
const TALK: Duration = Duration::from_secs(1);
/// What a line may send at once, in seconds of its rate: what it did not send while the disk or the channel was slow for
/// a moment is made up for, and within any second it sends little more than it may.
const BURST_SEC: f64 = 0.4;
/// What broadcasts leave of that to conversations, who so never wait behind them: in seconds of the rate, and at most.
const KEPT_BACK_SEC: f64 = 0.1;
const KEPT_BACK_MAX: f64 = 40.0;
/// The longest that broadcasts are expected to take from where they are let through to their tokens.
const LEAD_MAX: Duration = Duration::from_millis(100);

/// What this node has sent lately.
pub struct Limits {
    clock: DefaultClock,
    lines: Mutex<HashMap<String, LineBucket>>,
    pairs: DefaultKeyedRateLimiter<(String, String)>,
}

/// Tokens of a line, refilled as time passes. Broadcasts leave a part of them to conversations.
struct LineBucket {
    per_second: u32,
    tokens: f64,
    refilled: Instant,
    everything: Gate,
    broadcasts: Gate,
    replied: Option<Instant>,
    /// When broadcasts were last let through that have not got here yet.
    let_through: Option<Instant>,
    /// How long those take that are let through.
    lead: Duration,
}

/// What a line has for broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// How many it ever takes at once.
    pub most: i64,
    /// Whether it answered somebody a moment ago.
    pub people_talk: bool,
}

/// The right of a message to leave now, which is a token of its line and a place in flight. Dropped, it frees the place;
/// unused, it gives the token back: somebody else takes its turn.
pub struct Right {
    limits: Arc<Limits>,
    line: String,
    is_broadcast: bool,
    used: bool,
}

impl Right {
    /// The message leaves.
    pub fn used(&mut self) {
        self.used = true;
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        if let Some(bucket) = self.limits.lines().get_mut(&self.line) {
            bucket.everything.in_flight = bucket.everything.in_flight.saturating_sub(1);
            let broadcasts = &mut bucket.broadcasts.in_flight;
            *broadcasts = broadcasts.saturating_sub(usize::from(self.is_broadcast));
            bucket.tokens += f64::from(u8::from(!self.used));
        }
    }
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
        let tokens = burst(f64::from(per_second.max(1)));
        Self {
            per_second,
            tokens,
            refilled: Instant::now(),
            everything: Gate::default(),
            broadcasts: Gate::default(),
            replied: None,
            let_through: None,
            lead: Duration::ZERO,
        }
    }

    fn refill(&mut self, now: Instant) -> f64 {
        let rate = f64::from(self.per_second.max(1));
        self.tokens = (self.tokens + rate * now.duration_since(self.refilled).as_secs_f64()).min(burst(rate));
        self.refilled = now;
        rate
    }

    /// Takes a token and a place in flight, or says how long until there is a token.
    fn take(&mut self, now: Instant, is_broadcast: bool) -> Result<(), Duration> {
        let rate = self.refill(now);
        let needed = 1.0 + if is_broadcast { kept_back(rate) } else { 0.0 };
        if self.tokens < needed {
            let wait = Duration::from_secs_f64((needed - self.tokens) / rate);
            let gate = if is_broadcast { &mut self.broadcasts } else { &mut self.everything };
            gate.blocked_until = gate.blocked_until.max(Some(now + wait));
            return Err(wait);
        }
        self.tokens -= 1.0;
        if !is_broadcast {
            self.replied = Some(now);
        } else if let Some(since) = self.let_through.take() {
            let lead = now.duration_since(since).min(LEAD_MAX);
            self.lead = (self.lead * 3 + lead) / 4;
        }
        self.everything.in_flight += 1;
        self.broadcasts.in_flight += usize::from(is_broadcast);
        Ok(())
    }

    /// How many broadcasts may be let through, so that their tokens are there when they are: at least `least`, and what
    /// the line made up for, up to `most`.
    ///
    /// # Errors
    /// How long until there are `least`. `None`: not before answers come, or the line is open again.
    fn let_broadcasts(&mut self, now: Instant, (least, most): (i64, i64)) -> Result<i64, Option<Duration>> {
        let rate = self.refill(now);
        let free = self.in_flight_max().1.saturating_sub(self.broadcasts.in_flight) as i64;
        if least > free || self.is_closed(now, true) {
            return Err(None);
        }
        let there = self.tokens + rate * self.lead.as_secs_f64() - kept_back(rate);
        let missing = (least as f64).min(burst(rate) - kept_back(rate)) - there;
        if missing > 0.0 {
            return Err(Some(Duration::from_secs_f64(missing / rate)));
        }
        Ok((there as i64).min(most).min(free).max(least))
    }

    /// Messages that may be in flight, and broadcasts among them.
    fn in_flight_max(&self) -> (usize, usize) {
        let most = (self.per_second / 2).clamp(LINE_IN_FLIGHT.0, LINE_IN_FLIGHT.1);
        (most as usize, (f64::from(most) * BROADCASTS_IN_FLIGHT) as usize)
    }

    fn is_closed(&mut self, now: Instant, is_broadcast: bool) -> bool {
        let (most, broadcasts) = self.in_flight_max();
        self.everything.is_closed(now, most) || is_broadcast && self.broadcasts.is_closed(now, broadcasts)
    }
}

/// The most tokens a line has.
fn burst(rate: f64) -> f64 {
    (rate * BURST_SEC).max(1.0)
}

/// The tokens that broadcasts leave to conversations.
fn kept_back(rate: f64) -> f64 {
    (rate * KEPT_BACK_SEC).clamp(1.0, KEPT_BACK_MAX).min(burst(rate) - 1.0)
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
            if bucket.is_closed(now, false) {
                everything.push(line.clone());
            } else if bucket.is_closed(now, true) {
                broadcasts.push(line.clone());
            }
        }
        (everything, broadcasts)
    }

    /// This is how many messages a line may send in a second.
    pub fn learn(&self, line: &str, per_second: u32) {
        let mut lines = self.lines();
        lines.entry(line.to_owned()).or_insert_with(|| LineBucket::new(per_second)).per_second = per_second;
    }

    /// Takes the right to send one message on a line now, or says how long to wait.
    ///
    /// # Errors
    /// The wait.
    pub fn take(self: &Arc<Self>, line: &str, is_broadcast: bool) -> Result<Right, Duration> {
        let mut lines = self.lines();
        let bucket = lines.entry(line.to_owned()).or_insert_with(|| LineBucket::new(1));
        bucket.take(Instant::now(), is_broadcast)?;
        Ok(Right { limits: Arc::clone(self), line: line.to_owned(), is_broadcast, used: false })
    }

    /// The same, when the line is known and takes something at the moment.
    pub fn take_early(self: &Arc<Self>, line: &str, is_broadcast: bool) -> Option<Right> {
        let closed = self.lines().get_mut(line)?.is_closed(Instant::now(), is_broadcast);
        if closed { None } else { self.take(line, is_broadcast).ok() }
    }

    /// What a line has for broadcasts; nothing while nobody knows how fast it is.
    pub fn room_for_broadcasts(&self, line: &str) -> Room {
        let lines = self.lines();
        let Some(bucket) = lines.get(line) else { return Room::default() };
        let rate = f64::from(bucket.per_second.max(1));
        Room {
            most: (burst(rate) - kept_back(rate)).max(0.0).min(bucket.in_flight_max().1 as f64) as i64,
            people_talk: bucket.replied.is_some_and(|at| at.elapsed() < TALK),
        }
    }

    /// How many broadcasts a line takes that are on their way to it from now on, from `least` to `most`; the time they
    /// need until they take their tokens is counted in, as it was lately.
    ///
    /// # Errors
    /// How long until it takes `least`. `None`: nobody can say.
    pub fn let_broadcasts(&self, line: &str, range: (i64, i64)) -> Result<i64, Option<Duration>> {
        self.lines().get_mut(line).ok_or(None)?.let_broadcasts(Instant::now(), range)
    }

    /// Broadcasts are on their way to a line since then.
    pub fn let_through(&self, line: &str, since: Instant) {
        if let Some(bucket) = self.lines().get_mut(line) {
            bucket.let_through = Some(since);
        }
    }

    /// Takes the right of a pair to one message more, or says how long to wait.
    ///
    /// # Errors
    /// The wait.
    pub fn take_pair(&self, line: &str, recipient: &str) -> Result<(), Duration> {
        let pair = (line.to_owned(), recipient.to_owned());
        self.pairs.check_key(&pair).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
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

    /// How many messages the line takes at once.
    fn taken(limits: &Arc<Limits>, line: &str, is_broadcast: bool) -> usize {
        let leaves = |mut right: Right| right.used();
        std::iter::from_fn(|| limits.take(line, is_broadcast).ok().map(leaves)).take(200).count()
    }

    #[test]
    fn a_line_takes_its_rate_and_then_closes() {
        let limits = Arc::new(Limits::new());
        limits.learn("1", 20);
        let many = taken(&limits, "1", false);
        assert!((8..=9).contains(&many), "{many}");
        assert_eq!(limits.closed_lines().0, ["1"]);
        assert!(limits.take_early("1", false).is_none());
        assert!(limits.take_early("2", false).is_none(), "nobody knows how fast it is");
        limits.learn("2", 20);
        assert!(limits.take_early("2", false).is_some());
    }

    #[test]
    fn broadcasts_leave_a_part_of_the_line_to_conversations() {
        let limits = Arc::new(Limits::new());
        let room = |line, rate| {
            limits.learn(line, rate);
            limits.room_for_broadcasts(line)
        };
        assert_eq!(room("1", 100), Room { most: 30, people_talk: false });
        let many = taken(&limits, "1", true);
        assert!((30..=31).contains(&many), "{many}");
        assert_eq!(limits.closed_lines(), (vec![], vec!["1".to_owned()]));
        assert_eq!(limits.let_broadcasts("1", (1, 1)), Err(None));
        assert!(limits.take("1", false).is_ok(), "a reply does not wait");
        let many = taken(&limits, "1", false);
        assert!((8..=10).contains(&many), "{many}");
        assert_eq!(room("1", 100), Room { most: 30, people_talk: true });
        assert_eq!(room("two", 20).most, 6);
        assert_eq!(room("one", 1).most, 1);
        assert_eq!(limits.room_for_broadcasts("unknown"), Room::default());
        assert!(limits.take("one", true).is_ok(), "a slow line takes broadcasts too");
    }

    #[test]
    fn broadcasts_are_let_through_as_early_as_they_need_to_get_there() {
        let (mut bucket, began) = (LineBucket::new(1_000), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(bucket.let_broadcasts(began, (125, 125)), Ok(125), "the line has been quiet");
        assert_eq!(bucket.let_broadcasts(began, (125, 250)), Ok(250), "it makes up for that");
        assert_eq!(bucket.let_broadcasts(began, (125, 1_000)), Ok(360), "but leaves something to conversations");
        // They take 40 ms to get there.
        bucket.let_through = Some(began);
        assert!((0..300).all(|_| bucket.take(at(40), true).is_ok()));
        bucket.broadcasts.in_flight = 0;
        assert_eq!(bucket.lead, Duration::from_millis(10), "a quarter of what was seen");
        let wait = bucket.let_broadcasts(at(40), (125, 250)).expect_err("too early").expect("open");
        // 100 of 400 tokens are there, 40 are kept back: 65 are missing, less what comes on the way.
        assert!((54..=55).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(bucket.let_broadcasts(at(96), (125, 250)), Ok(126));
        bucket.broadcasts.in_flight = 270;
        assert_eq!(bucket.let_broadcasts(at(2_000), (125, 250)), Ok(130), "the rest is in flight");
        bucket.broadcasts.in_flight = 400;
        assert_eq!(bucket.let_broadcasts(at(2_000), (125, 250)), Err(None), "no answer has come");
    }

    #[test]
    fn what_does_not_leave_takes_nothing_of_the_line() {
        let limits = Arc::new(Limits::new());
        limits.learn("1", 5);
        let unused = [limits.take("1", false), limits.take("1", false)];
        assert!(unused.iter().all(Result::is_ok) && limits.take("1", false).is_err());
        drop(unused);
        assert_eq!(taken(&limits, "1", false), 2);
        assert!(limits.take("1", false).is_err(), "what left is gone");
    }

    #[test]
    fn a_line_has_so_many_in_flight() {
        let mut bucket = LineBucket::new(1_000);
        bucket.broadcasts.in_flight = 400;
        bucket.everything.in_flight = 400;
        assert!(bucket.is_closed(Instant::now(), true) && !bucket.is_closed(Instant::now(), false));
        bucket.everything.in_flight = 500;
        assert!(bucket.is_closed(Instant::now(), false));
    }

    #[test]
    fn a_pair_takes_its_burst_and_then_waits_seconds() {
        let limits = Limits::new();
        let refused = (0..46).find_map(|_| limits.take_pair("1", "a").err());
        assert!(refused.is_some_and(|wait| wait > Duration::from_secs(4)), "{refused:?}");
        assert!(limits.take_pair("1", "b").is_ok(), "another customer is not held up");
    }
}
