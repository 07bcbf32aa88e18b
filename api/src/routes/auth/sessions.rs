//! `GET,DELETE /api/auth/sessions`, `DELETE /api/auth/sessions/{id}`.

use std::sync::Arc;

use application::identity::sessions::SessionView;
use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use crate::app::App;
use crate::error::{Failure, List, Own};
use crate::routes::Group;
use crate::routes::answers::{DONE, Done, Paged, limit_default, page};
use crate::routes::paths::Id;
use crate::security::may::{May, Person};

/// One's sessions.
pub struct SessionsApi;

#[OpenApi(prefix_path = "/auth/sessions", tag = "Group::Auth")]
impl SessionsApi {
    /// List one's sessions
    ///
    /// Where one is signed in, and the tokens made with the account's API key, if it is one's own; the newest first.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        request: &Request,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<SessionView>>, Failure<List>> {
        let rows = app.identity.sessions(&caller.session, &page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(rows, request))
    }

    /// End a session
    ///
    /// What it signed is refused from now on, on every node within 5 seconds. Other people's sessions are not found.
    #[oai(path = "/:id", method = "delete", operation_id = "endSession")]
    async fn end(&self, app: Data<&Arc<App>>, caller: May<Person>, id: Path<Id>) -> Result<Json<Done>, Failure<Own>> {
        app.identity.end_session(&caller.session, id.0.0).await?;
        Ok(DONE)
    }

    /// End all other sessions
    ///
    /// Signs one out everywhere but here, and ends the tokens made with one's API key.
    #[oai(path = "/", method = "delete", operation_id = "endOtherSessions")]
    async fn end_others(&self, app: Data<&Arc<App>>, caller: May<Person>) -> Result<Json<Done>, Failure<Own>> {
        app.identity.end_other_sessions(&caller.session).await?;
        Ok(DONE)
    }
}
