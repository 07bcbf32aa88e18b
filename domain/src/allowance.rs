//! How often something may be tried: so many times in so long, and how long attempts that fail keep the next one
//! waiting.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many times in so long, in any stretch of that length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub times: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

impl Rate {
    /// `times` every `per_sec` seconds; none at all is one.
    pub const fn new(times: u32, per_sec: u64) -> Self {
        let times = match NonZeroU32::new(times) {
            Some(times) => times,
            None => NonZeroU32::MIN,
        };
        Self { times, per: Duration::from_secs(per_sec) }
    }
}

/// How long the attempts to sign in with one name wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many attempts wait for nothing.
    pub free: u32,
    /// How far the first one after them keeps from the one before it; every further one twice as far.
    pub first: Duration,
    /// The longest distance, and the longest an attempt waits for its turn.
    pub longest: Duration,
    /// After so long without an attempt all of them are forgotten.
    pub quiet: Duration,
}

impl Patience {
    /// Five attempts, then 1, 2, 4 … 30 seconds; forgotten after 15 minutes.
    pub const STANDARD: Self = Self {
        free: 5,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(30),
        quiet: Duration::from_secs(900),
    };

    /// How far each attempt keeps from the one before it: the first, the second and so on; the last one stands for all
    /// that follow.
    pub fn distances(&self) -> Vec<Duration> {
        let free = std::iter::repeat_n(Duration::ZERO, self.free as usize);
        let doubled = |distance: &Duration| Some(distance.saturating_mul(2)).filter(|_| *distance < self.longest);
        let rising = std::iter::successors(Some(self.first.max(Duration::from_millis(1))), doubled);
        free.chain(rising.map(|distance| distance.min(self.longest))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_double_up_to_the_longest() {
        let seconds: Vec<u64> = Patience::STANDARD.distances().iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30]);
        let at_once = Patience { free: 0, first: Duration::ZERO, longest: Duration::ZERO, quiet: Duration::ZERO };
        assert_eq!(at_once.distances(), [Duration::ZERO]);
    }

    #[test]
    fn nothing_may_be_tried_less_than_once() {
        assert_eq!(Rate::new(0, 60).times.get(), 1);
    }
}
