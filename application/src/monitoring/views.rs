//! What the monitor shows.

use domain::shared::provider_error::ErrorClass;
use uuid::Uuid;

use crate::time::Stamp;

/// Which messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "lowercase"))]
pub enum DeliveryList {
    /// Those that failed.
    Failed,
    /// Those that wait longer than `staleAfterSec`.
    Stale,
    /// Those of which nobody knows yet whether they went out.
    Doubtful,
}

/// What a row of the queue is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum QueueState {
    /// It waits for its turn, or for its next try.
    Waiting,
    /// A sender has it and has not asked the channel yet.
    Claimed,
    /// The request left; its answer is awaited.
    InFlight,
    /// The request left and no answer came.
    InDoubt,
    /// A dead letter: sent again only when a person asks for it.
    Dead,
}

/// Whether a line sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "lowercase"))]
pub enum LineState {
    /// It sends.
    Running,
    /// A person paused it.
    Paused,
    /// Its account may not send; an incident is open.
    Stopped,
}

/// An error with what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Explained {
    /// The channel's code; 0 when it was not the channel.
    pub code: i64,
    /// `transient`, `recipient`, `recipient_conditional`, `template`, `sender`, `request`, or why we held it back.
    pub class: String,
    /// In the channel's words.
    pub title: String,
    /// What an error of this class means.
    pub meaning: String,
}

impl Explained {
    /// An error of this class.
    pub fn new(code: i64, class: &str, title: String) -> Self {
        let meaning = ErrorClass::from_word(class).map_or("the flow's message was never queued", ErrorClass::meaning);
        Self { code, class: class.to_owned(), title, meaning: meaning.to_owned() }
    }
}

/// A message as it stands in the queue.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct QueueRow {
    /// What it is at.
    pub state: QueueState,
    /// The line it goes out on.
    pub phone_number_id: String,
    /// When it came in; of a retried message, when it came in again.
    pub queued_at: Stamp,
    /// Tries so far.
    pub attempts: u32,
    /// Which retry by a person this is; 0 for none.
    pub retry: u32,
    /// Whether it goes out once more because the first time stayed in doubt.
    pub resent: bool,
    /// When it is due; of a message in doubt or in flight, when that is looked at again.
    pub due_at: Stamp,
    /// When it has waited too long to be sent at all.
    pub expires_at: Stamp,
    /// Messages of its conversation that go first.
    pub ahead: u64,
    /// The last error, with what it means.
    pub error: Option<Explained>,
    /// What held it up last, in words.
    pub held_up_by: Option<String>,
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct DeliveryRow {
    /// The message.
    pub message_id: Uuid,
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The line.
    pub phone_number_id: String,
    /// The customer's phone; absent for one known by a user id alone.
    pub wa_phone_number: Option<String>,
    /// When it was queued.
    pub queued_at: Stamp,
    /// What its row of the queue is at; absent when there is none any more.
    pub state: Option<QueueState>,
    /// Tries so far, while it is in the queue.
    pub attempts: Option<u32>,
    /// When it is tried, or looked at, next.
    pub next_at: Option<Stamp>,
    /// Why it failed, or was refused last.
    pub error: Option<Explained>,
}

/// Trouble with a line's account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct IncidentView {
    /// The channel's code.
    pub code: i64,
    /// How it is handled; `sender`.
    pub class: String,
    /// In the channel's words.
    pub title: String,
    /// The channel's details.
    pub details: Option<String>,
    /// Messages that met it.
    pub messages: u64,
    /// Since when.
    pub opened_at: Stamp,
    /// When a message last met it.
    pub last_seen_at: Stamp,
}

/// Messages queued in the last 24 hours, by how far they came.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct DayCounts {
    /// Queued.
    pub queued: u64,
    /// Taken by the channel.
    pub sent: u64,
    /// Arrived.
    pub delivered: u64,
    /// Read.
    pub read: u64,
    /// Failed, before or after the channel took them.
    pub failed: u64,
    /// Arrived of those taken; absent when none was.
    pub delivered_rate: Option<f64>,
    /// Read of those that arrived; absent when none did.
    pub read_rate: Option<f64>,
}

impl DayCounts {
    /// With its rates.
    pub fn new(queued: u64, sent: u64, delivered: u64, read: u64, failed: u64) -> Self {
        let rate = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let (delivered_rate, read_rate) = (rate(delivered, sent), rate(read, delivered));
        Self { queued, sent, delivered, read, failed, delivered_rate, read_rate }
    }
}

/// A line and its queue.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LineHealth {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The number as people see it.
    pub display_phone_number: String,
    /// Whether it sends.
    pub state: LineState,
    /// Why it does not.
    pub stopped_reason: Option<String>,
    /// The trouble with its account, while there is some.
    pub incident: Option<IncidentView>,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages on their way to the channel.
    pub in_flight: u64,
    /// Messages of which nobody knows yet whether they went out.
    pub in_doubt: u64,
    /// Messages that wait longer than `staleAfterSec`.
    pub stale: u64,
    /// Dead letters kept, which a person may send again.
    pub dead: u64,
    /// How long the oldest waiting message waits, in seconds.
    pub oldest_waiting_sec: Option<u64>,
    /// What was queued in the last 24 hours.
    pub last24h: DayCounts,
}

/// All lines together.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Totals {
    /// Lines.
    pub lines: u64,
    /// Lines that are paused or stopped.
    pub lines_held: u64,
    /// Open incidents.
    pub incidents: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages on their way to the channel.
    pub in_flight: u64,
    /// Messages of which nobody knows yet whether they went out.
    pub in_doubt: u64,
    /// Messages that wait longer than `staleAfterSec`.
    pub stale: u64,
    /// Dead letters kept.
    pub dead: u64,
    /// How long the oldest waiting message waits, in seconds.
    pub oldest_waiting_sec: Option<u64>,
    /// What was queued in the last 24 hours.
    pub last24h: DayCounts,
}

impl Totals {
    /// The sum of these lines.
    pub fn of(lines: &[LineHealth]) -> Self {
        let sum = |part: fn(&LineHealth) -> u64| lines.iter().map(part).sum::<u64>();
        Self {
            lines: lines.len() as u64,
            lines_held: sum(|line| u64::from(line.state != LineState::Running)),
            incidents: sum(|line| u64::from(line.incident.is_some())),
            waiting: sum(|line| line.waiting),
            in_flight: sum(|line| line.in_flight),
            in_doubt: sum(|line| line.in_doubt),
            stale: sum(|line| line.stale),
            dead: sum(|line| line.dead),
            oldest_waiting_sec: lines.iter().filter_map(|line| line.oldest_waiting_sec).max(),
            last24h: DayCounts::new(
                sum(|line| line.last24h.queued),
                sum(|line| line.last24h.sent),
                sum(|line| line.last24h.delivered),
                sum(|line| line.last24h.read),
                sum(|line| line.last24h.failed),
            ),
        }
    }
}

/// How an account's deliveries stand.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Health {
    /// When this was so.
    pub at: Stamp,
    /// Seconds after which a waiting message is stale.
    pub stale_after_sec: u64,
    /// All lines together.
    pub totals: Totals,
    /// Each line, the primary one first.
    pub lines: Vec<LineHealth>,
    /// The newest messages that failed; more with `view=failed`.
    pub failed: Vec<DeliveryRow>,
    /// The newest messages that wait too long; more with `view=stale`.
    pub stale: Vec<DeliveryRow>,
}

/// What came of sending many messages again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Batch {
    /// Messages that are on their way again.
    pub retried: u32,
    /// Messages that may not be sent again, by why.
    pub refused: Vec<Refused>,
    /// Dead letters that were not looked at: ask again.
    pub left: u64,
}

/// Messages that may not be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Refused {
    /// Why, as the code of the error a single retry is refused with.
    pub code: String,
    /// How many.
    pub messages: u32,
}
