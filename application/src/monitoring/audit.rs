//! Everything that is known of one message: what happened, where it is, what comes next.

use domain::shared::ids::MessageId;

use crate::actor::Session;
use crate::conversations::message_view::MessageView;
use crate::error::{AppError, AppResult};
use crate::history::HistoryEntry;
use crate::log::Documents;
use crate::monitoring::Monitoring;
use crate::monitoring::prospects::{Prospect, prospect};
use crate::monitoring::queue_log::{QueueLogFilter, QueueLogRow};
use crate::monitoring::views::{Explained, LineHealth, QueueRow};
use crate::page::{LIMIT_MAX, PageRequest};

/// Everything that is known of one message.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The message, folded from the log itself.
    pub message: MessageView,
    /// Why it failed or was refused last, with what that means.
    pub error: Option<Explained>,
    /// Its row of the queue, while there is one.
    pub queue: Option<QueueRow>,
    /// Its line.
    pub line: Option<LineHealth>,
    /// What happens next.
    pub next: Prospect,
    /// What was recorded of it, in order.
    pub events: Vec<HistoryEntry>,
    /// What happened to it in the queue, the newest first; as far back as that is kept.
    pub log: Vec<QueueLogRow>,
}

impl Monitoring {
    /// Everything that is known of one of the account's messages.
    ///
    /// # Errors
    /// There is no such message.
    pub async fn audit(&self, session: &Session, id: MessageId) -> AppResult<Audit> {
        let tenant = session.tenant;
        let found = self.deliveries.find(tenant, id).await?.ok_or(AppError::NotFound("message"))?;
        let history = self.deliveries.history(tenant, found.conversation, id).await?;
        let mut folded = Documents::<MessageView>::default();
        history.events.iter().for_each(|recorded| folded.take(recorded));
        let message = folded.into_stored().map_err(AppError::internal)?.pop().ok_or(AppError::NotFound("message"))?;
        let lines = self.deliveries.lines(tenant, &self.bounds()).await?;
        let line = lines.into_iter().find(|it| it.phone_number_id == found.line);
        let failed = message.error.as_ref().map(|error| Explained::new(error.code, &error.class, error.title.clone()));
        let filter = QueueLogFilter { message: Some(id), ..QueueLogFilter::default() };
        let log = self.log.page(tenant, &filter, &PageRequest { limit: LIMIT_MAX, after: None }).await?.rows;
        let state = line.as_ref().map(|line| line.state);
        Ok(Audit {
            next: prospect(&message, found.row.as_ref(), state),
            error: failed.or_else(|| found.row.as_ref().and_then(|row| row.error.clone())),
            message,
            queue: found.row,
            line,
            events: history.entries,
            log,
        })
    }
}
