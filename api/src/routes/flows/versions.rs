//! `GET,POST /api/flows/{id}/versions`.

use std::sync::Arc;

use application::flows::views::FlowVersionView;
use domain::shared::ids::FlowId;
use poem::Request;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use crate::app::App;
use crate::error::{BareChange, Failure, Read};
use crate::routes::Group;
use crate::routes::answers::{Made, Paged, limit_default, page};
use crate::routes::paths::Id;
use crate::security::may::{Flows, May};

/// Versions of flows.
pub struct Versions;

#[OpenApi(prefix_path = "/flows", tag = "Group::Flows")]
impl Versions {
    /// List a flow's versions
    ///
    /// Published graphs, newest first.
    #[oai(path = "/:id/versions", method = "get", operation_id = "listFlowVersions")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        request: &Request,
        id: Path<Id>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<FlowVersionView>>, Failure<Read>> {
        let wanted = page(*limit, cursor.as_deref())?;
        Ok(Paged::of(app.flows.versions(&caller.session, FlowId(id.0.0), &wanted).await?, request))
    }

    /// Publish a version
    ///
    /// Freezes the saved graph as the next version, whatever the flow's status. When nothing changed since,
    /// the last version is the answer.
    #[oai(path = "/:id/versions", method = "post", operation_id = "publishFlowVersion")]
    async fn publish(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        id: Path<Id>,
    ) -> Result<Made<FlowVersionView>, Failure<BareChange>> {
        Ok(app.flows.publish(&caller.session, FlowId(id.0.0)).await?.into())
    }
}
