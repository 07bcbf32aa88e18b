//! Wall-clock times of a place as moments: a time the clock skips is the first moment after the gap, a
//! time it shows twice is the earlier one.

use chrono::{DateTime, Days, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// No clock change is longer.
const GAP_MINUTES_MAX: i64 = 26 * 60;

/// The moment at which a clock in `timezone` shows `local`.
pub fn moment(local: NaiveDateTime, timezone: Tz) -> DateTime<Utc> {
    (0..=GAP_MINUTES_MAX)
        .filter_map(|minutes| local.checked_add_signed(TimeDelta::minutes(minutes)))
        .find_map(|time| timezone.from_local_datetime(&time).earliest())
        .map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
}

/// The next moment after `now` at which a clock in `timezone` shows `time`.
pub fn next(time: NaiveTime, now: DateTime<Utc>, timezone: Tz) -> DateTime<Utc> {
    let today = now.with_timezone(&timezone).date_naive();
    (0..=2)
        .filter_map(|days| today.checked_add_days(Days::new(days)))
        .map(|date| moment(date.and_time(time), timezone))
        .find(|moment| *moment > now)
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YORK: Tz = chrono_tz::America::New_York;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn clock(hour: u32, minute: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, minute, 0).unwrap()
    }

    #[test]
    fn the_next_occurrence_is_today_or_tomorrow() {
        let now = at("2026-01-10T14:00:00Z"); // 09:00 in New York
        assert_eq!(next(clock(9, 30), now, NEW_YORK), at("2026-01-10T14:30:00Z"));
        assert_eq!(next(clock(9, 0), now, NEW_YORK), at("2026-01-11T14:00:00Z"));
        assert_eq!(next(clock(8, 0), now, NEW_YORK), at("2026-01-11T13:00:00Z"));
    }

    #[test]
    fn a_skipped_time_is_the_first_moment_after_the_gap() {
        // New York skips 02:00 to 03:00 on 8 March 2026.
        let now = at("2026-03-08T05:30:00Z");
        assert_eq!(next(clock(2, 30), now, NEW_YORK), at("2026-03-08T07:00:00Z"));
    }

    #[test]
    fn a_doubled_time_is_the_earlier_one() {
        // New York shows 01:30 twice on 1 November 2026.
        let now = at("2026-11-01T04:30:00Z");
        assert_eq!(next(clock(1, 30), now, NEW_YORK), at("2026-11-01T05:30:00Z"));
        assert_eq!(next(clock(1, 30), at("2026-11-01T05:40:00Z"), NEW_YORK), at("2026-11-02T06:30:00Z"));
    }
}
