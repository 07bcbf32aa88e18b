//! What the delivery monitor answers.

use application::conversations::message_view::MessageView;
use application::monitoring::audit::Audit;
use application::monitoring::prospects::Prospect;
use application::monitoring::queue_log::QueueLogRow;
use application::monitoring::views::{
    Batch, DeliveryList, DeliveryRow, Explained, Health, LineHealth, QueueRow, Totals,
};
use application::time::Stamp;
use poem_openapi::Object;

use crate::routes::history::entry::EntryRow;
use crate::routes::webhooks::delivery::Action;

/// How deliveries stand; with `view`, a page of messages.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeliveryReport {
    /// When this was so.
    at: Option<Stamp>,
    /// Seconds after which a waiting message is stale.
    stale_after_sec: Option<u64>,
    /// All lines together.
    totals: Option<Totals>,
    /// Each line, the primary one first.
    lines: Option<Vec<LineHealth>>,
    /// The newest messages that failed.
    failed: Option<Vec<DeliveryRow>>,
    /// The newest messages that wait too long.
    stale: Option<Vec<DeliveryRow>>,
    /// Which messages these are.
    view: Option<DeliveryList>,
    /// The messages, the newest first.
    messages: Option<Vec<DeliveryRow>>,
}

impl DeliveryReport {
    /// A page of messages.
    pub fn of(list: DeliveryList, messages: Vec<DeliveryRow>) -> Self {
        Self {
            at: None,
            stale_after_sec: None,
            totals: None,
            lines: None,
            failed: None,
            stale: None,
            view: Some(list),
            messages: Some(messages),
        }
    }
}

impl From<Health> for DeliveryReport {
    fn from(health: Health) -> Self {
        Self {
            at: Some(health.at),
            stale_after_sec: Some(health.stale_after_sec),
            totals: Some(health.totals),
            lines: Some(health.lines),
            failed: Some(health.failed),
            stale: Some(health.stale),
            view: None,
            messages: None,
        }
    }
}

/// What was done, and how it stands now.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeliveryResult {
    /// Always true.
    success: bool,
    /// What was done.
    action: Action,
    /// The message; of `audit` and `retry`.
    pub message: Option<MessageAudit>,
    /// What came of the dead letters; of `retry_failed`.
    pub batch: Option<Batch>,
    /// The line; of `pause_line` and `resume_line`.
    pub line: Option<LineHealth>,
}

impl DeliveryResult {
    /// Done, with nothing to show yet.
    pub const fn of(action: Action) -> Self {
        Self { success: true, action, message: None, batch: None, line: None }
    }
}

/// Everything that is known of one message.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct MessageAudit {
    /// The message as the log leads to it.
    message: MessageView,
    /// Why it failed or was refused last, with what that means.
    error: Option<Explained>,
    /// Its row of the queue, while there is one.
    queue: Option<QueueRow>,
    /// Its line.
    line: Option<LineHealth>,
    /// What happens next.
    next: Prospect,
    /// What was recorded of it, in order, with who asked.
    events: Vec<EntryRow>,
    /// What happened to it in the queue, the newest first; kept for 30 days.
    log: Vec<QueueLogRow>,
}

impl From<Audit> for MessageAudit {
    fn from(audit: Audit) -> Self {
        Self {
            message: audit.message,
            error: audit.error,
            queue: audit.queue,
            line: audit.line,
            next: audit.next,
            events: audit.events.into_iter().map(EntryRow::from).collect(),
            log: audit.log,
        }
    }
}
