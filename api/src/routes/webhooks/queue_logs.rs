//! `GET /api/webhook/queue-logs`.

use std::sync::Arc;

use application::history::at::At;
use application::monitoring::queue_log::{QueueLogFilter, QueueLogRow, QueueOutcome};
use chrono::{DateTime, Utc};
use domain::shared::ids::MessageId;
use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, Failure, List};
use crate::routes::Group;
use crate::routes::answers::{Paged, limit_default, page};
use crate::routes::history::at;
use crate::security::may::{May, Reports};

/// The log of the queue.
pub struct QueueLogs;

#[OpenApi(prefix_path = "/webhook/queue-logs", tag = "Group::Webhooks")]
impl QueueLogs {
    /// What happened in the queue
    ///
    /// Every row of the outgoing queue, from when it came in to when it left: taken by the channel, refused and tried
    /// again, in doubt, sent once more, given up, taken out. The newest first; kept for 30 days. Administrators look
    /// into another account with `account`.
    #[oai(path = "/", method = "get", operation_id = "listQueueLogs")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        /// Of this line.
        #[oai(name = "phoneNumberId", validator(max_length = 32))]
        line: Query<Option<String>>,
        /// Of this message.
        #[oai(name = "messageId")]
        message: Query<Option<Uuid>>,
        /// Of this kind.
        outcome: Query<Option<QueueOutcome>>,
        /// From this time on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time, inclusive.
        to: Query<Option<String>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
        /// Another account, for administrators.
        account: Query<Option<Uuid>>,
    ) -> Result<Paged<Vec<QueueLogRow>>, Failure<List>> {
        let session = caller.in_account(account.0)?;
        let filter = QueueLogFilter {
            line: line.0,
            message: message.map(MessageId),
            outcome: outcome.0,
            from: time(from.as_deref())?,
            to: time(to.as_deref())?,
        };
        let found = app.monitoring.queue_log(&session, &filter, &page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(found, request))
    }
}

/// A time; the queue has no positions.
fn time(text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    match at(text)? {
        Some(At::Time(time)) => Ok(Some(time)),
        Some(At::Position(position)) => {
            Err(ApiError::invalid("invalid_request", format!("`{position}` is no time as 2026-01-31T12:00:00Z")))
        }
        None => Ok(None),
    }
}
