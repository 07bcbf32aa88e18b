//! `GET /api/audit/events`, `GET /api/audit/{aggregate}/{id}/events`, and the doors by name:
//! `GET /api/conversations/{id}/history`, `GET /api/templates/{id}/history`, `GET /api/calendar/appointments/{id}/history`.

pub mod entry;

use std::sync::Arc;

use application::history::at::At;
use application::history::{HistoryFilter, Scope};
use application::page::Cursor;
use chrono::{DateTime, Utc};
use domain::shared::ids::StreamId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{limit_default, next, page};
use crate::routes::history::entry::{Entries, EntryRow, Told, text};
use crate::routes::ndjson::{self, Ndjson};
use crate::routes::paths::Id;
use crate::security::may::{May, Reports};

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Order {
    /// The oldest event.
    Asc,
    /// The newest event.
    Desc,
}

/// What the query of a history says.
struct Asked {
    types: Vec<String>,
    actor: Option<String>,
    from: Option<String>,
    to: Option<String>,
    order: Option<Order>,
    limit: u32,
    cursor: Option<String>,
}

impl Asked {
    fn filter(&self) -> Result<HistoryFilter, ApiError> {
        Ok(HistoryFilter {
            types: words(&self.types),
            actor: self.actor.clone(),
            from: at(self.from.as_deref())?,
            to: at(self.to.as_deref())?,
            newest_first: self.order == Some(Order::Desc),
        })
    }
}

/// A point in history, as a query names it.
///
/// # Errors
/// It is none.
pub fn at(text: Option<&str>) -> Result<Option<At>, ApiError> {
    Ok(text.map(At::read).transpose()?)
}

/// A time, as a query names it.
///
/// # Errors
/// It is none.
pub fn time(text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    match at(text)? {
        Some(At::Time(time)) => Ok(Some(time)),
        Some(At::Position(_)) => Err(ApiError::invalid("invalid_request", "this takes a time as 2026-01-31T12:00:00Z")),
        None => Ok(None),
    }
}

/// Words of a parameter that may be repeated, or hold several with commas.
pub fn words(lists: &[String]) -> Vec<String> {
    let words = lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// A page, or all of it as lines.
async fn answer(app: &App, request: &Request, scope: Scope, asked: Asked) -> Result<Told, ApiError> {
    let filter = asked.filter()?;
    if !ndjson::wanted(request.headers()) {
        let found = app.history.page(&scope, &filter, &page(asked.limit, asked.cursor.as_deref())?).await?;
        let (next, link) = next(found.next.as_ref(), request.original_uri());
        let rows = found.rows.into_iter().map(EntryRow::from).collect();
        return Ok(Told::Events(Entries::Page(Json(rows)), next, link));
    }
    let after = asked.cursor.as_deref().map(Cursor::read).transpose()?;
    let mut walk = app.history.walk(scope, filter, after.as_ref()).await?;
    let body = ndjson::body(|mut lines| async move {
        while let Some(open) = walk.next().await? {
            // These are opened on a thread of their own, those before are on their way, and the next are read.
            lines.send_later(tokio::task::spawn_blocking(|| text(&open()?))).await?;
        }
        Ok(())
    });
    Ok(Told::Events(Entries::Lines(Ndjson::of(body.await?)), None, None))
}

/// Histories.
pub struct Histories;

#[OpenApi(prefix_path = "/", tag = "Group::Audit")]
impl Histories {
    /// List the account's events
    ///
    /// The account's log across all streams, in the order of the log. With `Accept: application/x-ndjson` everything
    /// from the cursor to the end, as it is when the request begins, one event a line; a transfer that breaks off is
    /// not whole.
    #[oai(path = "/audit/events", method = "get", operation_id = "listEvents")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn log(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        /// Of this type, such as `conversation.started`; several with commas, or repeated.
        #[oai(name = "type", default)]
        types: Query<Vec<String>>,
        /// By this actor: `user:<id>`, `customer`, `channel`, `webhook` or `system`.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// From this time or position on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time or position, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose, when not the caller's; administrators only. An account that was deleted still has its log.
        account: Query<Option<Uuid>>,
        /// Events of a page; fewer when they are large.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<List>> {
        let asked = Asked {
            types: types.0,
            actor: actor.0,
            from: from.0,
            to: to.0,
            order: *order,
            limit: *limit,
            cursor: cursor.0,
        };
        Ok(answer(&app, request, Scope::Log(caller.in_account(account.0)?.tenant), asked).await?)
    }

    /// List the events of a conversation, flow, lead, template, template group or appointment
    ///
    /// One stream's events, oldest first, with who caused them and where they stand in the log. `version` and
    /// `payload` are as they were recorded. Of an erased contact, `erased` says so and `payload` is what is left.
    /// With `Accept: application/x-ndjson` all of them from the cursor on, one a line.
    #[oai(path = "/audit/:aggregate/:id/events", method = "get", operation_id = "listStreamEvents")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn stream(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        /// `conversation`, `flow`, `lead`, `template`, `template_group` or `appointment`.
        aggregate: Path<String>,
        id: Path<Id>,
        /// Of this type; several with commas, or repeated.
        #[oai(name = "type", default)]
        types: Query<Vec<String>>,
        /// By this actor.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// From this time or position on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time or position, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose, when not the caller's; administrators only. An account that was deleted still has its log.
        account: Query<Option<Uuid>>,
        /// Events of a page; fewer when they are large.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<Read>> {
        let asked = Asked {
            types: types.0,
            actor: actor.0,
            from: from.0,
            to: to.0,
            order: *order,
            limit: *limit,
            cursor: cursor.0,
        };
        let scope = Scope::stream(&aggregate, StreamId::new(caller.in_account(account.0)?.tenant, id.0.0))?;
        Ok(answer(&app, request, scope, asked).await?)
    }

    /// The history of a conversation
    ///
    /// As `GET /api/audit/conversation/{id}/events`.
    #[oai(path = "/conversations/:id/history", method = "get", operation_id = "getConversationHistory")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn conversation(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        id: Path<Id>,
        /// Of this type; several with commas, or repeated.
        #[oai(name = "type", default)]
        types: Query<Vec<String>>,
        /// By this actor.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// From this time or position on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time or position, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose, when not the caller's; administrators only. An account that was deleted still has its log.
        account: Query<Option<Uuid>>,
        /// Events of a page; fewer when they are large.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<Read>> {
        let aggregate = Path("conversation".to_owned());
        self.stream(app, caller, request, aggregate, id, types, actor, from, to, order, account, limit, cursor).await
    }

    /// The history of a template
    ///
    /// As `GET /api/audit/template/{id}/events`.
    #[oai(path = "/templates/:id/history", method = "get", operation_id = "getTemplateHistory")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn template(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        id: Path<Id>,
        /// Of this type; several with commas, or repeated.
        #[oai(name = "type", default)]
        types: Query<Vec<String>>,
        /// By this actor.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// From this time or position on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time or position, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose, when not the caller's; administrators only. An account that was deleted still has its log.
        account: Query<Option<Uuid>>,
        /// Events of a page; fewer when they are large.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<Read>> {
        let aggregate = Path("template".to_owned());
        self.stream(app, caller, request, aggregate, id, types, actor, from, to, order, account, limit, cursor).await
    }

    /// The history of an appointment
    ///
    /// As `GET /api/audit/appointment/{id}/events`.
    #[oai(path = "/calendar/appointments/:id/history", method = "get", operation_id = "getAppointmentHistory")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn appointment(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        id: Path<Id>,
        /// Of this type; several with commas, or repeated.
        #[oai(name = "type", default)]
        types: Query<Vec<String>>,
        /// By this actor.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// From this time or position on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time or position, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose, when not the caller's; administrators only. An account that was deleted still has its log.
        account: Query<Option<Uuid>>,
        /// Events of a page; fewer when they are large.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<Read>> {
        let aggregate = Path("appointment".to_owned());
        self.stream(app, caller, request, aggregate, id, types, actor, from, to, order, account, limit, cursor).await
    }
}
