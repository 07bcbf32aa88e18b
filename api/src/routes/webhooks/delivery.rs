//! `GET,POST /api/monitor/delivery`.

pub mod report;

use std::sync::Arc;

use application::actor::Session;
use application::error::AppError;
use application::monitoring::views::DeliveryList;
use domain::access::{Need, Permission};
use domain::shared::ids::MessageId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, Change, Failure, List};
use crate::routes::Group;
use crate::routes::answers::{Answer, Paged, lag, limit_default, next, page};
use crate::routes::body::Body;
use crate::routes::webhooks::delivery::report::{DeliveryReport, DeliveryResult};
use crate::security::may::{May, Reports, meet};

/// What to do about deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Action {
    /// Send one message that failed once more: takes `messageId`.
    Retry,
    /// Send dead letters once more, 500 a request: those of `phoneNumberId`, or all of the account.
    RetryFailed,
    /// Tell everything that is known of one message: takes `messageId`.
    Audit,
    /// Let a line go on: takes `phoneNumberId`.
    ResumeLine,
    /// Hold a line; its queue stays: takes `phoneNumberId`.
    PauseLine,
}

impl Action {
    /// What it takes to look is `reports`, which the operation asks for; whatever changes something takes more.
    const fn need(self) -> Option<Need> {
        match self {
            Self::Audit => None,
            Self::Retry | Self::RetryFailed | Self::ResumeLine | Self::PauseLine => {
                Some(Need::Granted(Permission::Settings))
            }
        }
    }
}

/// What to do, and to what.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct DeliveryRequest {
    /// What.
    action: Action,
    /// The message; for `retry` and `audit`.
    message_id: Option<Uuid>,
    /// The line; for `pause_line` and `resume_line`, and to narrow `retry_failed` down.
    phone_number_id: Option<String>,
}

impl DeliveryRequest {
    fn message(&self) -> Result<MessageId, AppError> {
        self.message_id.map(MessageId).ok_or_else(|| AppError::invalid("this action takes a messageId"))
    }

    fn line(&self) -> Result<&str, AppError> {
        self.phone_number_id.as_deref().ok_or_else(|| AppError::invalid("this action takes a phoneNumberId"))
    }
}

/// The delivery monitor.
pub struct DeliveryMonitor;

#[OpenApi(prefix_path = "/monitor/delivery", tag = "Group::Webhooks")]
impl DeliveryMonitor {
    /// How deliveries stand
    ///
    /// Every line with its queue, its last 24 hours and its open incident, totals, and the newest messages that failed
    /// or wait longer than `staleAfterSec`. With `view`, a page of those messages alone. Administrators look into
    /// another account with `account`.
    #[oai(path = "/", method = "get", operation_id = "getDeliveryHealth")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn health(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        /// Messages of this kind, page by page.
        view: Query<Option<DeliveryList>>,
        /// Messages of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
        /// Another account, for administrators.
        account: Query<Option<Uuid>>,
    ) -> Result<Paged<DeliveryReport>, Failure<List>> {
        let session = caller.in_account(account.0)?;
        let Some(list) = view.0 else {
            let health = app.monitoring.health(&session).await?;
            return Ok(Paged::Page(Json(health.into()), None, None, None));
        };
        let found = app.monitoring.page(&session, list, &page(*limit, cursor.as_deref())?).await?;
        let (next, link) = next(found.next.as_ref(), request.original_uri());
        Ok(Paged::Page(Json(DeliveryReport::of(list, found.rows)), next, link, found.total))
    }

    /// Look into a message, send it again, hold a line
    ///
    /// `audit` tells everything that is known of one message: what was recorded, its row of the queue, its line, its
    /// last error with what errors of that class mean, what happened to it in the queue, and what happens next.
    ///
    /// `retry` sends a message that failed once more, as a new try of the same message, which the history shows with
    /// who asked for it. One that waits, is on its way, is in doubt, or was taken by the channel is refused (409); so is
    /// anything but a template outside the 24-hour window. `retry_failed` does the same to dead letters and counts what
    /// it may not send again; `left` says how many were not looked at.
    ///
    /// `pause_line` holds a line: its queue stays, but what waits longer than a day becomes a dead letter once the line
    /// goes on. `resume_line` lets a line go on that was paused or stopped, and closes its incident.
    ///
    /// Whatever changes something takes the permission `settings` as well. Administrators act in another account with
    /// `account`.
    #[oai(path = "/", method = "post", operation_id = "actOnDelivery")]
    async fn act(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        /// Another account, for administrators.
        account: Query<Option<Uuid>>,
        body: Body<DeliveryRequest>,
    ) -> Result<Answer<DeliveryResult>, Failure<Change>> {
        let session = caller.in_account(account.0)?;
        if let Some(need) = body.action.need() {
            meet(&session, need)?;
        }
        let (result, caught_up) = perform(&app, &session, &body).await?;
        Ok(Answer::Ok(Json(result), lag(caught_up)))
    }
}

/// Does it; true when the read models show it.
async fn perform(app: &App, session: &Session, asked: &DeliveryRequest) -> Result<(DeliveryResult, bool), ApiError> {
    let monitoring = &app.monitoring;
    let mut result = DeliveryResult::of(asked.action);
    let mut caught_up = true;
    match asked.action {
        Action::Audit => result.message = Some(monitoring.audit(session, asked.message()?).await?.into()),
        Action::Retry => {
            caught_up = monitoring.retry(session, asked.message()?).await?;
            result.message = Some(monitoring.audit(session, asked.message()?).await?.into());
        }
        Action::RetryFailed => {
            result.batch = Some(monitoring.retry_failed(session, asked.phone_number_id.as_deref()).await?);
        }
        Action::PauseLine => result.line = Some(monitoring.pause(session, asked.line()?).await?),
        Action::ResumeLine => result.line = Some(monitoring.resume(session, asked.line()?).await?),
    }
    Ok((result, caught_up))
}
