//! `GET /api/audit/entries`.

use std::sync::Arc;

use application::audit::entries::{EntryFilter, EntryView};
use application::error::AppError;
use application::page::Cursor;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Failure, List};
use crate::routes::Group;
use crate::routes::answers::{limit_default, next, page};
use crate::routes::history::{Order, time, words};
use crate::routes::ndjson::{self, Ndjson};
use crate::security::may::{May, Reports};

/// Entries, in the form the client accepts.
#[derive(ResponseContent)]
enum Rows {
    /// A page.
    Page(Json<Vec<EntryView>>),
    /// All of them, one a line.
    Lines(Ndjson<EntryView>),
}

#[derive(ApiResponse)]
enum Told {
    /// A page of entries, or, for those who accept `application/x-ndjson`, all of them, one a line.
    #[oai(status = 200)]
    Entries(
        Rows,
        /// The `cursor` of the next page; absent on the last one, and beside lines.
        #[oai(header = "X-Next-Cursor")]
        Option<String>,
        /// The next page's address, as `<…>; rel="next"`; absent on the last one, and beside lines.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

/// Audit entries.
pub struct AuditEntries;

#[OpenApi(prefix_path = "/audit", tag = "Group::Audit")]
impl AuditEntries {
    /// List who changed people, keys, settings and permissions
    ///
    /// What changes in the account without being an event: people and their permissions, sessions, API keys, lines,
    /// tasks, erased contacts. Every entry was written together with its change and is never altered; none holds a
    /// secret. What an employee did is the account's, with the employee as its actor. With
    /// `Accept: application/x-ndjson` all entries from the cursor on, as they are when the request begins, one a line;
    /// a transfer that breaks off is not whole.
    #[oai(path = "/entries", method = "get", operation_id = "listAuditEntries")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        request: &Request,
        /// Of this action, such as `employee.created`; several with commas, or repeated.
        #[oai(name = "action", default)]
        actions: Query<Vec<String>>,
        /// By this actor: `user:<id>`, `system` or `command line`.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// About this one: the id of a person, task or contact, a line's phone number id, a client id.
        #[oai(validator(max_length = 200))]
        subject: Query<Option<String>>,
        /// From this time on, inclusive.
        from: Query<Option<String>>,
        /// Up to this time, inclusive.
        to: Query<Option<String>>,
        /// `desc` for the newest first; `asc` when absent.
        order: Query<Option<Order>>,
        /// Whose entries, when not the caller's; administrators only. An account that was deleted still has them.
        account: Query<Option<Uuid>>,
        /// Entries of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Told, Failure<List>> {
        let tenant = caller.in_account(account.0)?.tenant;
        let filter = EntryFilter {
            actions: words(&actions),
            actor: actor.0,
            subject: subject.0,
            from: time(from.as_deref())?,
            to: time(to.as_deref())?,
            newest_first: *order == Some(Order::Desc),
        };
        if !ndjson::wanted(request.headers()) {
            let found = app.entries.page(tenant, &filter, &page(*limit, cursor.as_deref())?).await?;
            let (next, link) = next(found.next.as_ref(), request.original_uri());
            return Ok(Told::Entries(Rows::Page(Json(found.rows)), next, link));
        }
        let after = cursor.as_deref().map(Cursor::read).transpose()?;
        let mut walk = app.entries.walk(tenant, filter, after.as_ref()).await?;
        let body = ndjson::body(|mut lines| async move {
            while let Some(entries) = walk.next().await? {
                let mut text = Vec::new();
                for entry in entries {
                    serde_json::to_writer(&mut text, &entry).map_err(AppError::internal)?;
                    text.push(b'\n');
                }
                lines.send(text).await?;
            }
            Ok(())
        });
        Ok(Told::Entries(Rows::Lines(Ndjson::of(body.await?)), None, None))
    }
}
