//! Why an appointment refuses.

use crate::appointment::AppointmentStatus;

/// Characters in the id of a service or a resource.
pub const ID_CHARS_MAX: usize = 100;
/// Characters in the name of a service or a person.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters in notes.
pub const NOTES_CHARS_MAX: usize = 4_000;
/// Characters in a reason.
pub const REASON_CHARS_MAX: usize = 1_000;
/// Minutes an appointment takes: 31 days.
pub const MINUTES_MAX: i64 = 31 * 24 * 60;
/// Minutes of a buffer: a day.
pub const BUFFER_MINUTES_MAX: u32 = 24 * 60;
/// Years appointments are in, from the first to the one they are before.
pub const YEARS: std::ops::Range<i32> = 2000..2100;

/// A rule of appointments that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppointmentError {
    /// No such appointment.
    #[error("there is no such appointment")]
    NotFound,
    /// Its id is taken by another one.
    #[error("the appointment exists already")]
    Exists,
    /// The contact was erased: nothing more happens here.
    #[error("the contact was erased")]
    ContactErased,
    /// Somebody else was faster.
    #[error("the appointment was changed meanwhile; it is at version {0} now")]
    Stale(u32),
    /// It came to its end.
    #[error("the appointment is `{0}`: it does not change any more")]
    Ended(AppointmentStatus),
    /// What for is not said, or at too great length.
    #[error("a service has an id of 1 to {ID_CHARS_MAX} characters, a name of 1 to {NAME_CHARS_MAX}, or both")]
    Service,
    /// The resource is empty or too long.
    #[error("a resource's id has 1 to {ID_CHARS_MAX} characters")]
    Resource,
    /// Nobody is named, or at too great length.
    #[error("a customer's name has 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// Nobody can be reached.
    #[error("an appointment needs the customer's phone")]
    Phone,
    /// The e-mail address cannot be one.
    #[error("`{0}` is not an e-mail address")]
    Email(String),
    /// The notes are too long.
    #[error("notes have at most {NOTES_CHARS_MAX} characters")]
    Notes,
    /// The reason is too long.
    #[error("a reason has at most {REASON_CHARS_MAX} characters")]
    Reason,
    /// The time zone is none.
    #[error("`{0}` is not an IANA time zone such as `Asia/Jerusalem`")]
    Timezone(String),
    /// It ends before it began.
    #[error("an appointment ends after it begins")]
    EndsBeforeItBegins,
    /// It takes too long.
    #[error("an appointment takes at most 31 days")]
    TooLong,
    /// Its times are no whole minutes.
    #[error("an appointment begins and ends at whole minutes")]
    NoWholeMinute,
    /// It is too far away.
    #[error("an appointment is in the years from {} on, and before {}", YEARS.start, YEARS.end)]
    FarAway,
    /// A buffer is too long.
    #[error("a buffer has at most {BUFFER_MINUTES_MAX} minutes")]
    Buffer,
}
