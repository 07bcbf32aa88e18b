//! A point in history: a time, or a position in the log.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};

use crate::error::{AppError, AppResult};
use crate::log::Position;

/// A point in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Everything recorded by this instant. Times are shown in whole milliseconds, so that is how they compare:
    /// an event belongs to the time it is shown with.
    Time(DateTime<Utc>),
    /// Everything up to this position, with it.
    Position(Position),
}

impl At {
    /// Reads a time as RFC 3339 writes it, or a position as histories show it.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str) -> AppResult<Self> {
        text.parse().map_err(AppError::invalid)
    }

    /// Whether an event recorded at this time and position belongs to what was by then.
    pub fn reached_by(&self, recorded_at: DateTime<Utc>, position: Position) -> bool {
        match self {
            Self::Time(time) => recorded_at.trunc_subsecs(3) <= *time,
            Self::Position(last) => position <= *last,
        }
    }
}

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // In a query, a bare `+` of an offset arrives as a space.
        let time =
            DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&text.replace(' ', "+")));
        // A bare date would pass for a position, and mean something else.
        let is_date = text.get(4..5) == Some("-") && text.parse::<NaiveDate>().is_ok();
        match (time, text.parse()) {
            (Ok(time), _) => Ok(Self::Time(time.to_utc())),
            (Err(_), Ok(position)) if !is_date => Ok(Self::Position(position)),
            _ => Err(format!("`{text}` is neither a time as 2026-01-31T12:00:00Z nor a position")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_positions_are_told_apart() {
        let time = At::Time("2026-01-31T10:00:00Z".parse().unwrap());
        for text in ["2026-01-31T10:00:00Z", "2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00 02:00"] {
            assert_eq!(text.parse(), Ok(time), "{text}");
        }
        let position = Position { epoch: 1, transaction: 742, number: 9 };
        assert_eq!(position.to_string().parse(), Ok(At::Position(position)));
        for text in ["", "42", "2026-01-31", "1-2", "1-2-3-4", "1-2-x", "yesterday"] {
            let words = text.parse::<At>().unwrap_err();
            assert!(words.contains("neither a time"), "{words}");
        }
    }

    #[test]
    fn an_event_belongs_to_the_time_it_is_shown_with() {
        let position = |number| Position { epoch: 1, transaction: 7, number };
        let recorded: DateTime<Utc> = "2026-01-31T10:00:00.123999Z".parse().unwrap();
        let reached = |at: &str| at.parse::<At>().unwrap().reached_by(recorded, position(5));
        assert!(reached("2026-01-31T10:00:00.123Z") && !reached("2026-01-31T10:00:00.122999Z"));
        assert!(reached("1-7-5") && reached("1-8-1") && !reached("1-7-4") && !reached("0-9-9"));
    }
}
