//! `POST /api/flows/{id}/what-if`.

use std::sync::Arc;

use application::error::AppError;
use application::flows::what_if::views::WhatIfAnswer;
use application::flows::what_if::{Candidate, RUNS_DEFAULT, Replaying, RunRange};
use application::time::Stamp;
use domain::shared::ids::FlowId;
use futures::stream::{self, Stream};
use poem::http::header;
use poem::web::Data;
use poem::{Body as Stored, Request};
use poem_openapi::param::Path;
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, Failure, Question};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::Id;
use crate::security::Caller;

/// Lines of JSON.
const NDJSON: &str = "application/x-ndjson";

/// Which graph is tried, on which runs.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct WhatIfQuestion {
    /// The graph to try, as Drawflow JSON. Without it and without `version`: the graph as last saved.
    drawflow_data: Option<Value>,
    /// The published version to try.
    #[oai(validator(minimum(value = "1")))]
    version: Option<u32>,
    /// Runs that started at this time or later.
    from: Option<Stamp>,
    /// Runs that started before this time.
    to: Option<Stamp>,
    /// At most so many runs, the newest ones; 200 when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "10000")))]
    limit: Option<u32>,
}

/// Everything at once, or line by line.
#[derive(ResponseContent)]
enum WhatIfContent {
    Whole(Json<WhatIfAnswer>),
    #[oai(content_type = "application/x-ndjson")]
    Lines(Binary<Stored>),
}

/// What would have been.
#[derive(ApiResponse)]
enum WhatIfResponse {
    /// What would have been.
    #[oai(status = 200)]
    Ok(WhatIfContent),
}

/// What flows would have done.
pub struct WhatIfApi;

#[OpenApi(prefix_path = "/flows", tag = "Group::Flows")]
impl WhatIfApi {
    /// Try a graph on recorded runs
    ///
    /// Replays the newest recorded runs of the flow, of all its versions, on another graph, and says of each whether
    /// it takes the same path or where it first takes another one, and which messages are added, removed or changed.
    /// Inputs are the recorded ones; nothing is sent, called or stored, and the flow's other triggers and other
    /// flows take no part. The time zone is the account's now.
    ///
    /// `details` shows the first 100 runs that are different. With `Accept: application/x-ndjson` every run is a line
    /// `{"run": {…}, "done": 7, "found": 200}` as soon as it is replayed, and the last line is `{"total": {…}}`; an
    /// answer that breaks off ends without one, with a line `{"error": …, "code": …}` where that is possible.
    #[oai(path = "/:id/what-if", method = "post", operation_id = "whatIf")]
    async fn ask(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller,
        request: &Request,
        id: Path<Id>,
        body: Body<WhatIfQuestion>,
    ) -> Result<WhatIfResponse, Failure<Question>> {
        let WhatIfQuestion { drawflow_data, version, from, to, limit } = body.0;
        let candidate = match (drawflow_data, version) {
            (None, None) => Candidate::Saved,
            (Some(drawflow), None) => Candidate::Drawflow(drawflow),
            (None, Some(version)) => Candidate::Version(version),
            (Some(_), Some(_)) => {
                return Err(AppError::invalid("`drawflowData` or `version` is tried, not both").into());
            }
        };
        let (from, to) = (from.map(|it| it.0), to.map(|it| it.0));
        let range = RunRange { from, to, limit: limit.unwrap_or(RUNS_DEFAULT) };
        let replaying = app.what_if.ask(&caller.session, FlowId(id.0.0), candidate, range).await?;
        let content = if wants_lines(request) {
            WhatIfContent::Lines(Binary(Stored::from_bytes_stream(lines(replaying))))
        } else {
            WhatIfContent::Whole(Json(replaying.answer().await?))
        };
        Ok(WhatIfResponse::Ok(content))
    }
}

fn wants_lines(request: &Request) -> bool {
    let accepted = request.header(header::ACCEPT).unwrap_or_default();
    accepted.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(NDJSON)))
}

/// A line a run, and one for them all. Whoever stops reading stops the replay.
fn lines(replaying: Replaying) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> {
    stream::unfold(Some((replaying, 0_u64)), |state| async move {
        let (mut replaying, done) = state?;
        let (line, state) = match replaying.next().await {
            Ok(Some(run)) => {
                let line = json!({ "run": run, "done": done + 1, "found": replaying.found() });
                (line, Some((replaying, done + 1)))
            }
            Ok(None) => (json!({ "total": replaying.total() }), None),
            Err(error) => {
                let ApiError { body, .. } = error.into();
                (json!({ "error": body.error, "code": body.code }), None)
            }
        };
        Some((Ok(format!("{line}\n").into_bytes()), state))
    })
}
