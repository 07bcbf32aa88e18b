//! `POST /api/flows/{id}/what-if`.

use std::sync::Arc;

use application::error::AppError;
use application::flows::what_if::views::{WhatIfAnswer, WhatIfRun, WhatIfTotal};
use application::flows::what_if::{Candidate, RUNS_DEFAULT, RunRange};
use application::time::Stamp;
use domain::shared::ids::FlowId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};
use serde_json::Value;

use crate::app::App;
use crate::error::{Failure, Question};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::ndjson::{self, Ndjson};
use crate::routes::paths::Id;
use crate::security::may::{Flows, May};

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

/// A line: a run and how far the replay came, or, last of all, everything summed up.
#[derive(Object, Default)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct WhatIfLine {
    /// What would have become of a run.
    run: Option<WhatIfRun>,
    /// Runs replayed so far.
    done: Option<u64>,
    /// Runs found.
    found: Option<u64>,
    /// All of it; on the last line alone.
    total: Option<WhatIfTotal>,
}

/// Everything at once, or line by line.
#[derive(ResponseContent)]
enum WhatIfContent {
    Whole(Json<WhatIfAnswer>),
    Lines(Ndjson<WhatIfLine>),
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
    /// answer that breaks off is a broken transfer.
    #[oai(path = "/:id/what-if", method = "post", operation_id = "whatIf")]
    async fn ask(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
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
        let mut replaying = app.what_if.ask(&caller.session, FlowId(id.0.0), candidate, range).await?;
        if !ndjson::wanted(request.headers()) {
            return Ok(WhatIfResponse::Ok(WhatIfContent::Whole(Json(replaying.answer().await?))));
        }
        // Whoever stops reading stops the replay.
        let body = ndjson::body(|mut lines| async move {
            let mut done = 0;
            while let Some(run) = replaying.next().await? {
                done += 1;
                let found = Some(replaying.found() as u64);
                let line = WhatIfLine { run: Some(run), done: Some(done), found, total: None };
                lines.send(format!("{}\n", line.to_json_string()).into_bytes()).await?;
            }
            let last = WhatIfLine { total: Some(replaying.total().clone()), ..WhatIfLine::default() };
            lines.send(format!("{}\n", last.to_json_string()).into_bytes()).await
        });
        Ok(WhatIfResponse::Ok(WhatIfContent::Lines(Ndjson::of(body.await?))))
    }
}
