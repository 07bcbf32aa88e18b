//! `GET,POST /api/flows`, `GET,PUT,DELETE /api/flows/{id}`.

pub mod versions;
pub mod what_if;

use std::sync::Arc;

use application::flows::views::FlowView;
use application::time::Stamp;
use domain::flow::FlowStatus;
use domain::flow::command::FlowChange;
use domain::shared::ids::FlowId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::error::{BareChange, Change, Create, Failure, List, Read};
use crate::routes::Group;
use crate::routes::answers::{Answer, DONE, Done, Made, Paged, limit_default, page};
use crate::routes::body::Body;
use crate::routes::history::at;
use crate::routes::paths::Id;
use crate::security::may::{Flows, May};

/// A flow to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct NewFlow {
    /// 1 to 200 characters.
    name: String,
    /// At most 2000 characters.
    description: Option<String>,
    /// The graph, as Drawflow JSON; empty when absent.
    drawflow_data: Option<Value>,
    /// `draft` when absent; `active` publishes the graph at once.
    status: Option<FlowStatus>,
}

/// What is changed of a flow; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct FlowUpdate {
    /// 1 to 200 characters.
    name: Option<String>,
    /// At most 2000 characters.
    description: Option<String>,
    /// The whole graph, as Drawflow JSON.
    drawflow_data: Option<Value>,
    /// `active` publishes the graph as a version when it differs from the last one.
    status: Option<FlowStatus>,
}

/// A flow as lists show it: without its graph, which may be 256 KiB.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct FlowRow {
    /// Its id.
    id: FlowId,
    /// What people call it.
    name: String,
    /// What it is for.
    description: String,
    /// `active` flows start runs with their last published version.
    status: FlowStatus,
    /// The last published version; 0 before the first.
    version: u32,
    /// When it was made.
    created_at: Stamp,
    /// When it was last changed.
    updated_at: Stamp,
}

impl From<FlowView> for FlowRow {
    fn from(flow: FlowView) -> Self {
        let FlowView { id, name, description, status, version, created_at, updated_at, .. } = flow;
        Self { id, name, description, status, version, created_at, updated_at }
    }
}

impl From<NewFlow> for FlowChange {
    fn from(new: NewFlow) -> Self {
        Self { name: Some(new.name), description: new.description, drawflow: new.drawflow_data, status: new.status }
    }
}

impl From<FlowUpdate> for FlowChange {
    fn from(update: FlowUpdate) -> Self {
        let FlowUpdate { name, description, drawflow_data, status } = update;
        Self { name, description, drawflow: drawflow_data, status }
    }
}

/// Flows.
pub struct FlowsApi;

#[OpenApi(prefix_path = "/flows", tag = "Group::Flows")]
impl FlowsApi {
    /// List flows
    ///
    /// The account's flows, oldest first, without their graphs. Administrators may ask for another account's with `userId`.
    #[oai(path = "/", method = "get", operation_id = "listFlows")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        request: &Request,
        /// Whose flows; the caller's own when absent. Administrators only.
        #[oai(name = "userId")]
        user_id: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<FlowRow>>, Failure<List>> {
        let session = caller.in_account(*user_id)?;
        let flows = app.flows.list(&session, &page(*limit, cursor.as_deref())?).await?;
        Ok(Paged::of(flows.map(FlowRow::from), request))
    }

    /// Make a flow
    ///
    /// A flow begins as a draft. With `status: active` its graph must have no problems and is published as
    /// version 1. Problems of a graph come back all at once, each with its node and field.
    #[oai(path = "/", method = "post", operation_id = "createFlow")]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        body: Body<NewFlow>,
    ) -> Result<Made<FlowView>, Failure<Create>> {
        let mut made = app.flows.create(&caller.session, body.0.into()).await?;
        caller.reads(&mut made.view.warnings);
        Ok(made.into())
    }

    /// A flow
    ///
    /// With its graph as last saved, and warnings about it. With `at`, as it was then, also when it was deleted since.
    #[oai(path = "/:id", method = "get", operation_id = "getFlow")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        id: Path<Id>,
        /// As it was at this time or position.
        #[oai(name = "at")]
        then: Query<Option<String>>,
    ) -> Result<Json<FlowView>, Failure<Read>> {
        let id = FlowId(id.0.0);
        let mut flow = match at(then.as_deref())? {
            None => app.flows.get(&caller.session, id).await?,
            Some(at) => app.past.flow(&caller.session, id, &at).await?,
        };
        caller.reads(&mut flow.warnings);
        Ok(Json(flow))
    }

    /// Change a flow
    ///
    /// Absent fields stay as they are. Setting `status: active` publishes the graph as a version when it
    /// differs from the last one; conversations that run stay with the version they began with.
    #[oai(path = "/:id", method = "put", operation_id = "updateFlow")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        id: Path<Id>,
        body: Body<FlowUpdate>,
    ) -> Result<Answer<FlowView>, Failure<Change>> {
        let mut changed = app.flows.change(&caller.session, FlowId(id.0.0), body.0.into()).await?;
        caller.reads(&mut changed.view.warnings);
        Ok(changed.into())
    }

    /// Delete a flow
    ///
    /// It starts no more runs. Its history and versions stay, and runs that wait go on.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteFlow")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Flows>,
        id: Path<Id>,
    ) -> Result<Json<Done>, Failure<BareChange>> {
        app.flows.delete(&caller.session, FlowId(id.0.0)).await?;
        Ok(DONE)
    }
}
