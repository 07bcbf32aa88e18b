//! `GET,POST,DELETE /api/templates/controlled-batch`.

use std::sync::Arc;

use application::templates::batch::INTERVAL_MS_DEFAULT;
use application::templates::batch::views::BatchView;
use domain::template::batch::BatchStatus;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{BareChange, Create, Failure, Read};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::Id;
use crate::routes::templates::catalogue::TemplateRequest;
use crate::security::Caller;
use crate::security::may::{May, Templates};

/// Templates to be submitted one after the other.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct BatchRequest {
    /// The templates, each as `POST /api/templates` takes it.
    #[oai(validator(min_items = 1, max_items = 200))]
    templates: Vec<TemplateRequest>,
    /// Milliseconds between two submissions at least.
    #[oai(default = "interval_default", validator(minimum(value = "0"), maximum(value = "3600000")))]
    interval_ms: u32,
}

const fn interval_default() -> u32 {
    INTERVAL_MS_DEFAULT
}

/// A job that was started.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct StartedBatch {
    /// Always true.
    success: bool,
    /// What the job is polled and cancelled by.
    job_id: Uuid,
    /// Where it stands: `pending`.
    status: BatchStatus,
    /// Its items.
    total: u32,
}

#[derive(ApiResponse)]
enum Started {
    /// Checked and kept; its items are submitted from now on.
    #[oai(status = 202)]
    Accepted(Json<StartedBatch>),
}

/// Many submissions.
pub struct ControlledBatchApi;

#[OpenApi(prefix_path = "/templates/controlled-batch", tag = "Group::Templates")]
impl ControlledBatchApi {
    /// Submit many templates
    ///
    /// Checks all of them first: one 400 names every problem of every item, such as `templates[3].components[1].text`.
    /// Then they are submitted one after the other, `intervalMs` apart. Meta's allowance of 100 an hour is waited for. A
    /// restart loses nothing and submits nothing twice; a template the account has already, saying the same, counts as
    /// there.
    #[oai(path = "/", method = "post", operation_id = "startTemplateBatch")]
    async fn start(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<BatchRequest>,
    ) -> Result<Started, Failure<Create>> {
        let BatchRequest { templates, interval_ms } = body.0;
        let total = u32::try_from(templates.len()).unwrap_or(u32::MAX);
        let templates = templates.into_iter().map(Into::into).collect();
        let job_id = app.template_care.batches.start(&caller.session, interval_ms, templates).await?;
        let status = BatchStatus::Pending;
        Ok(Started::Accepted(Json(StartedBatch { success: true, job_id, status, total })))
    }

    /// Follow a batch
    ///
    /// `pending` until the first item is begun, `running` until the last one is done, then `completed`, or `failed` when
    /// not one template is there, or `cancelled`. Each item tells what became of it.
    #[oai(path = "/", method = "get", operation_id = "getTemplateBatch")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The job.
        #[oai(name = "jobId")]
        job_id: Query<Id>,
    ) -> Result<Json<BatchView>, Failure<Read>> {
        let batch = app.template_care.batches.get(&caller.session, job_id.0.0).await?;
        Ok(Json(read_by(&caller, batch)))
    }

    /// Cancel a batch
    ///
    /// What was not submitted never will be; an item that is on its way is waited for. A job that ended by itself is
    /// refused (409), one that was cancelled before is answered as it stands.
    #[oai(path = "/", method = "delete", operation_id = "cancelTemplateBatch")]
    async fn cancel(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The job.
        #[oai(name = "jobId")]
        job_id: Query<Id>,
    ) -> Result<Json<BatchView>, Failure<BareChange>> {
        let batch = app.template_care.batches.cancel(&caller.session, job_id.0.0).await?;
        Ok(Json(read_by(&caller, batch)))
    }
}

fn read_by(caller: &Caller, mut batch: BatchView) -> BatchView {
    batch.items.iter_mut().for_each(|item| caller.reads(&mut item.problems));
    batch
}
