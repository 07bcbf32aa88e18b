//! `GET /api/admin/projections`, `POST /api/admin/projections/{name}/rebuild|cancel|resume|rollback`, `…/progress`.

use std::sync::Arc;
use std::time::Duration;

use application::projections::ProjectionView;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::{EventStream, Json};
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::app::App;
use crate::error::{BareChange, Change, Failure, List, Read};
use crate::routes::Group;
use crate::routes::body::OptionalBody;
use crate::security::may::{Administrator, May};

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(250);
/// How often a quiet connection is kept from being closed by what is between.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How to rebuild.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct RebuildRequest {
    /// Pause before the swap when the new generation differs from the live one, and wait for `resume`.
    #[oai(default)]
    confirm_differences: bool,
}

/// What was asked for is under way.
#[derive(ApiResponse)]
enum Accepted {
    /// Under way; this is how it stands.
    #[oai(status = 202)]
    Accepted(Json<ProjectionView>),
}

/// Projections.
pub struct ProjectionsApi;

#[OpenApi(prefix_path = "/admin/projections", tag = "Group::Admin")]
impl ProjectionsApi {
    /// List projections
    ///
    /// Every read model: how far behind the log it is, and the rebuild under way. Administrators only.
    #[oai(path = "/", method = "get", operation_id = "listProjections")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
    ) -> Result<Json<Vec<ProjectionView>>, Failure<List>> {
        Ok(Json(app.projections.list().await?))
    }

    /// Rebuild a projection
    ///
    /// Builds a new generation beside the live one while everybody goes on reading and writing: streams in slices,
    /// then what came meanwhile, then a comparison key by key, then both change places. The one before is kept for
    /// 24 hours. A conflict while a rebuild is under way; one that is paused or halted is begun anew.
    #[oai(path = "/:name/rebuild", method = "post", operation_id = "rebuildProjection")]
    async fn rebuild(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        name: Path<String>,
        body: OptionalBody<RebuildRequest>,
    ) -> Result<Accepted, Failure<Change>> {
        Ok(Accepted::Accepted(Json(
            app.projections.rebuild(&name, body.0.is_some_and(|body| body.confirm_differences)).await?,
        )))
    }

    /// Pause a rebuild
    ///
    /// What is built so far is kept, for `resume`. The live generation is not touched.
    #[oai(path = "/:name/cancel", method = "post", operation_id = "cancelRebuild")]
    async fn cancel(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        name: Path<String>,
    ) -> Result<Json<ProjectionView>, Failure<BareChange>> {
        Ok(Json(app.projections.cancel(&name).await?))
    }

    /// Go on with what stopped
    ///
    /// A paused rebuild goes on where it was, one that waits with differences is confirmed and swapped, and a halted
    /// projection tries its event again. After a change of the model's code, `rebuild` begins anew instead.
    #[oai(path = "/:name/resume", method = "post", operation_id = "resumeProjection")]
    async fn resume(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        name: Path<String>,
    ) -> Result<Accepted, Failure<BareChange>> {
        Ok(Accepted::Accepted(Json(app.projections.resume(&name).await?)))
    }

    /// Bring the former generation back
    ///
    /// It was kept in step and is swapped in at the head of the log; the one that is live now is kept in its place.
    #[oai(path = "/:name/rollback", method = "post", operation_id = "rollbackProjection")]
    async fn rollback(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        name: Path<String>,
    ) -> Result<Accepted, Failure<BareChange>> {
        Ok(Accepted::Accepted(Json(app.projections.rollback(&name).await?)))
    }

    /// Watch a rebuild
    ///
    /// Server-sent events, four a second, each the projection as it stands. The stream ends when nothing moves any
    /// more: the projection runs, is halted, or its rebuild is paused.
    #[oai(path = "/:name/progress", method = "get", operation_id = "watchProjection")]
    async fn progress(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
        name: Path<String>,
    ) -> Result<EventStream<BoxStream<'static, ProjectionView>>, Failure<Read>> {
        let first = app.projections.one(&name).await?;
        let (app, name) = (Arc::clone(app.0), name.0);
        let next = stream::unfold(first.status == "rebuilding", move |moves| {
            let (app, name) = (Arc::clone(&app), name.clone());
            async move {
                if !moves {
                    return None;
                }
                tokio::time::sleep(EVERY).await;
                let view = app.projections.one(&name).await.ok()?;
                let moves = view.status == "rebuilding";
                Some((view, moves))
            }
        });
        let all = stream::once(async { first }).chain(next);
        Ok(EventStream::new(all.boxed()).keep_alive(KEEP_ALIVE))
    }
}
