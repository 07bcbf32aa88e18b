//! `GET /api/conversations`, `GET,PUT /api/conversations/{id}`.

pub mod reply;
pub mod row;

use std::sync::Arc;

use application::conversations::ports::ConversationFilter;
use domain::shared::ids::ConversationId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Change, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{Answer, Paged, lag, limit_default, next, page};
use crate::routes::body::Body;
use crate::routes::conversations::row::{ConversationDetails, ConversationRow, ConversationStatus, HandlingRequest};
use crate::routes::history::at;
use crate::routes::paths::{Id, phone};
use crate::security::may::{Inbox, May};

#[derive(ApiResponse)]
enum Rows {
    /// A page, the liveliest conversation first.
    #[oai(status = 200)]
    Page(
        Json<Vec<ConversationRow>>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "X-Next-Cursor")]
        Option<String>,
        /// The next page's address, as `<…>; rel="next"`; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// How many there are on all pages, where that is cheap to know.
        #[oai(header = "X-Total-Count")]
        Option<u64>,
        /// With `stats=true`: how many conversations stand in each status, such as `active=3,closed=1`.
        #[oai(header = "X-Status-Counts")]
        Option<String>,
    ),
}

/// Conversations.
pub struct ConversationsApi;

#[OpenApi(prefix_path = "/conversations", tag = "Group::Conversations")]
impl ConversationsApi {
    /// List conversations
    ///
    /// The account's conversations, the liveliest first. With `stats=true`, rows carry counts of their
    /// messages, and the header `X-Status-Counts` the counts of all conversations by status.
    #[oai(path = "/", method = "get", operation_id = "listConversations")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Inbox>,
        request: &Request,
        /// In this status.
        status: Query<Option<ConversationStatus>>,
        /// With this phone.
        #[oai(name = "phone")]
        wanted_phone: Query<Option<String>>,
        /// In which this flow runs, or ran last.
        #[oai(name = "flowId")]
        flow_id: Query<Option<Uuid>>,
        /// Claimed by this person.
        #[oai(name = "claimedBy")]
        claimed_by: Query<Option<Uuid>>,
        /// Whose name, phone or last message contains this.
        #[oai(validator(max_length = 200))]
        search: Query<Option<String>>,
        /// Whether counts are wanted.
        #[oai(default)]
        stats: Query<bool>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Rows, Failure<List>> {
        let filter = ConversationFilter {
            status: status.map(|status| status.as_str().to_owned()),
            phone: wanted_phone.as_deref().map(phone).transpose()?.map(|it| it.to_string()),
            flow_id: *flow_id,
            claimed_by: *claimed_by,
            search: search.0,
        };
        let found = app.conversations.list(&caller.session, &filter, &page(*limit, cursor.as_deref())?).await?;
        let counts = if *stats { Some(app.conversations.counts(&caller.session).await?) } else { None };
        let (next, link) = next(found.next.as_ref(), request.original_uri());
        let rows = found.rows.into_iter().map(|view| ConversationRow::of(view, *stats)).collect();
        Ok(Rows::Page(Json(rows), next, link, found.total, counts.map(|all| listed(&all))))
    }

    /// A conversation
    ///
    /// With its flow run and its newest messages, oldest of them first; `X-Next-Cursor` leads to older ones.
    /// While `windowOpen`, anything may be sent; afterwards only a template. With `at`, all of it as it was then.
    #[oai(path = "/:id", method = "get", operation_id = "getConversation")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Inbox>,
        request: &Request,
        id: Path<Id>,
        /// Messages of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
        /// As it was at this time or position.
        #[oai(name = "at")]
        then: Query<Option<String>>,
    ) -> Result<Paged<ConversationDetails>, Failure<Read>> {
        let (id, wanted) = (ConversationId(id.0.0), page(*limit, cursor.as_deref())?);
        let details = match at(then.as_deref())? {
            None => app.conversations.get(&caller.session, id, &wanted).await?,
            Some(at) => app.past.conversation(&caller.session, id, &at, &wanted).await?,
        };
        let (next, link) = next(details.messages.next.as_ref(), request.original_uri());
        let total = details.messages.total;
        Ok(Paged::Page(Json(details.into()), next, link, total))
    }

    /// Claim, release, close or reopen a conversation
    ///
    /// A claimed conversation is a person's: flows keep out of it. With `expectedVersion`, the change is
    /// refused (409) when somebody else was faster.
    #[oai(path = "/:id", method = "put", operation_id = "handleConversation")]
    async fn handle(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Inbox>,
        id: Path<Id>,
        body: Body<HandlingRequest>,
    ) -> Result<Answer<ConversationDetails>, Failure<Change>> {
        let (handling, expected) = (body.action.into(), body.expected_version);
        let written = app.conversations.handle(&caller.session, ConversationId(id.0.0), handling, expected).await?;
        Ok(Answer::Ok(Json(written.view.into()), lag(written.caught_up)))
    }
}

fn listed(counts: &[(String, u64)]) -> String {
    counts.iter().map(|(status, count)| format!("{status}={count}")).collect::<Vec<_>>().join(",")
}
