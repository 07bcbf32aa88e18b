//! What Meta thinks of a template: the words, the pause ladder, and which of two pieces of news counts.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

open_words! {
    /// Where a template stands (Meta, message_template_status_update; the first two are ours).
    Status {
        /// On its way to Meta; no answer yet.
        Submitting = "SUBMITTING",
        /// Meta did not take it.
        Refused = "REFUSED",
        /// Meta reviews it, within 24 hours as a rule.
        Pending = "PENDING",
        /// It may be sent.
        Approved = "APPROVED",
        /// Meta reviewed it and said no.
        Rejected = "REJECTED",
        /// Customers took it badly; Meta lets it rest for a while.
        Paused = "PAUSED",
        /// Paused too often: it can never be sent again.
        Disabled = "DISABLED",
        /// Customers take it badly; it may still be sent.
        Flagged = "FLAGGED",
        /// Somebody appealed against a rejection.
        InAppeal = "IN_APPEAL",
        /// The account has as many templates as it may have.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// Meta locked it.
        Locked = "LOCKED",
        /// Not sent for twelve months.
        Archived = "ARCHIVED",
        /// Deleted; Meta still tries for 30 days to deliver what was sent.
        PendingDeletion = "PENDING_DELETION",
        /// Gone.
        Deleted = "DELETED",
    }
}

open_words! {
    /// Why and for how long a template is paused (Meta, template-pausing).
    Rung {
        /// For the first time: 3 hours.
        First = "FIRST_PAUSE",
        /// For the second time: 6 hours. The third time it is disabled.
        Second = "SECOND_PAUSE",
        /// Too many at once.
        RateLimiting = "RATE_LIMITING_PAUSE",
        /// Not told, as in a listing.
        Untold = "",
    }
}

/// The event that ends a pause, as the title of a pause webhook.
const UNPAUSE: &str = "UNPAUSE";
/// News that are closer together than this come without an order of their own: Meta tells whole seconds.
const BLUR: TimeDelta = TimeDelta::seconds(1);

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Which one.
    pub rung: Rung,
    /// When Meta ends it by itself, where that is known.
    pub until: Option<DateTime<Utc>>,
}

/// Why Meta rejected a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejection {
    /// Meta's word, such as `INVALID_FORMAT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is wrong, in Meta's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What Meta recommends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<String>,
}

impl Rejection {
    /// The rejection, unless nothing is told of it.
    pub fn told(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl Status {
    /// The status an event word leads to. `title` is the title beside a pause.
    pub fn of_event(word: &str, title: Option<&str>) -> Self {
        match Self::from(word) {
            Self::Paused if title.is_some_and(|title| title.eq_ignore_ascii_case(UNPAUSE)) => Self::Approved,
            // Back from being archived, flagged or disabled.
            Self::Other(word) if word == "UNARCHIVED" || word == "REINSTATED" || word == UNPAUSE => Self::Approved,
            status => status,
        }
    }

    /// Whether Meta lets it be sent.
    pub fn may_be_sent(&self) -> bool {
        matches!(self, Self::Approved | Self::Flagged)
    }

    /// Whether Meta approved it on the way here.
    pub fn was_reviewed_well(&self) -> bool {
        matches!(
            self,
            Self::Approved | Self::Flagged | Self::Paused | Self::Disabled | Self::Archived | Self::PendingDeletion
        )
    }

    /// How far along it is, for news without an order of their own.
    fn rank(&self) -> u8 {
        match self {
            Self::Submitting | Self::Refused => 0,
            Self::Pending => 1,
            Self::Deleted => 3,
            _ => 2,
        }
    }

    /// Whether news told at `told_at` count against what is so since `since`: newer ones do, older ones do not, and
    /// within the same second nothing goes back to its beginning.
    pub fn gives_way_to(&self, since: DateTime<Utc>, news: &Self, told_at: DateTime<Utc>) -> bool {
        let later = told_at - since;
        if later.abs() < BLUR { news.rank() >= self.rank() } else { later > TimeDelta::zero() }
    }
}

impl Pause {
    /// The pause that began at `at` with this title.
    pub fn begun(title: Option<&str>, at: DateTime<Utc>) -> Self {
        let rung = Rung::from(title.unwrap_or_default());
        let hours = match rung {
            Rung::First => Some(3),
            Rung::Second => Some(6),
            Rung::RateLimiting | Rung::Untold | Rung::Other(_) => None,
        };
        Self { rung, until: hours.map(|hours| at + TimeDelta::hours(hours)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + ms).expect("a time")
    }

    #[test]
    fn every_event_word_of_metas_has_its_status() {
        for (word, title, expected) in [
            ("APPROVED", None, Status::Approved),
            ("approved", None, Status::Approved),
            ("ARCHIVED", None, Status::Archived),
            ("UNARCHIVED", None, Status::Approved),
            ("DELETED", None, Status::Deleted),
            ("DISABLED", Some("DISABLED"), Status::Disabled),
            ("FLAGGED", None, Status::Flagged),
            ("IN_APPEAL", None, Status::InAppeal),
            ("LIMIT_EXCEEDED", None, Status::LimitExceeded),
            ("LOCKED", None, Status::Locked),
            ("PAUSED", Some("FIRST_PAUSE"), Status::Paused),
            ("PAUSED", Some("UNPAUSE"), Status::Approved),
            ("PENDING", None, Status::Pending),
            ("REINSTATED", None, Status::Approved),
            ("PENDING_DELETION", None, Status::PendingDeletion),
            ("REJECTED", None, Status::Rejected),
            ("ON_THE_MOON", None, Status::Other("ON_THE_MOON".into())),
        ] {
            assert_eq!(Status::of_event(word, title), expected, "{word}");
        }
    }

    #[test]
    fn older_news_do_not_count_and_nothing_begins_anew_within_a_second() {
        let now = Status::Approved;
        assert!(now.gives_way_to(at(0), &Status::Paused, at(5_000)));
        assert!(now.gives_way_to(at(0), &Status::Pending, at(5_000)), "an edit is reviewed again");
        assert!(!now.gives_way_to(at(5_000), &Status::Rejected, at(0)));
        assert!(!now.gives_way_to(at(0), &Status::Pending, at(900)));
        assert!(Status::Pending.gives_way_to(at(900), &Status::Approved, at(0)));
        assert!(Status::Paused.gives_way_to(at(0), &Status::Approved, at(600)));
    }

    #[test]
    fn the_pause_ladder_says_how_long() {
        let until = |title| Pause::begun(title, at(0)).until;
        assert_eq!(until(Some("FIRST_PAUSE")), Some(at(3 * 3_600_000)));
        assert_eq!(until(Some("SECOND_PAUSE")), Some(at(6 * 3_600_000)));
        assert_eq!((until(Some("RATE_LIMITING_PAUSE")), until(None)), (None, None));
    }
}
