//! `GET,POST /api/webhook/flow/{flowId}`, `POST /api/webhook/flow/{flowId}/lead`.

use std::sync::Arc;

use application::conversations::triggers::PayloadTrigger;
use domain::shared::ids::FlowId;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Failure, QueryTrigger, Trigger};
use crate::routes::Group;
use crate::routes::paths::{self, Id};
use crate::routes::webhooks::flow_credentials::FlowCall;
use crate::routes::webhooks::payload::Payload;

/// What was started.
#[derive(Object)]
struct Started {
    /// Always true.
    success: bool,
    /// In words.
    message: String,
    /// The names of the run's variables, in the order the payload has them; renamed ones last.
    variables: Vec<String>,
}

/// Triggers of flows.
pub struct FlowTriggers;

#[OpenApi(prefix_path = "/webhook/flow", tag = "Group::Webhooks")]
impl FlowTriggers {
    /// Start a flow with a query
    ///
    /// For systems that can only call an address: the query parameters are the payload of the flow's
    /// `trigger_api` node, whose `auth` says who may call. A token of the owning account is always enough. What is
    /// signed, with or without `X-Timestamp`, is the raw query, as a POST's body is.
    #[oai(path = "/:flowId", method = "get", operation_id = "triggerFlowByQuery")]
    async fn by_query(
        &self,
        app: Data<&Arc<App>>,
        call: FlowCall<false>,
        request: &Request,
        /// When it was signed, in seconds since 1970; part of what is signed then.
        #[oai(name = "X-Timestamp")]
        _timestamp: Header<Option<String>>,
        #[oai(name = "flowId")] flow_id: Path<Id>,
    ) -> Result<Json<Started>, Failure<QueryTrigger>> {
        Ok(start(&app, &call, flow_id.0, PayloadTrigger::Api, || query(request)).await?)
    }

    /// Start a flow with a payload
    ///
    /// The flow's `trigger_api` node says who may call (`auth`) and which fields become variables
    /// (`mapping`). A token of the owning account is always enough. The payload must name a phone.
    ///
    /// With `auth.mode: hmac`, `X-Signature-256` is the HMAC-SHA256 of the raw body. Better, send `X-Timestamp` (seconds
    /// since 1970) too and sign the timestamp, a dot and the body: such a call is refused (401) more than five minutes
    /// before or after, and refused (409, `signature_replayed`) when its signature was used before; what failed is
    /// signed anew. A signature over the body alone is good for ever. `auth.mode: none` is the only mode that asks for
    /// nothing.
    #[oai(path = "/:flowId", method = "post", operation_id = "triggerFlow")]
    async fn by_payload(
        &self,
        app: Data<&Arc<App>>,
        call: FlowCall<true>,
        /// When it was signed, in seconds since 1970; part of what is signed then.
        #[oai(name = "X-Timestamp")]
        _timestamp: Header<Option<String>>,
        #[oai(name = "flowId")] flow_id: Path<Id>,
    ) -> Result<Json<Started>, Failure<Trigger>> {
        Ok(start(&app, &call, flow_id.0, PayloadTrigger::Api, || call.payload()).await?)
    }

    /// Send a lead to a flow
    ///
    /// As `POST /api/webhook/flow/{flowId}`, for the flow's `trigger_lead_api` node; the lead is captured as
    /// well. Fields become variables, under the names the node's mapping gives them.
    #[oai(path = "/:flowId/lead", method = "post", operation_id = "sendLeadToFlow")]
    async fn lead(
        &self,
        app: Data<&Arc<App>>,
        call: FlowCall<true>,
        /// When it was signed, in seconds since 1970; part of what is signed then.
        #[oai(name = "X-Timestamp")]
        _timestamp: Header<Option<String>>,
        #[oai(name = "flowId")] flow_id: Path<Id>,
    ) -> Result<Json<Started>, Failure<Trigger>> {
        Ok(start(&app, &call, flow_id.0, PayloadTrigger::Lead, || call.payload()).await?)
    }
}

async fn start<const BODY: bool>(
    app: &App,
    call: &FlowCall<BODY>,
    flow_id: Id,
    kind: PayloadTrigger,
    payload: impl FnOnce() -> Result<Payload, ApiError>,
) -> Result<Json<Started>, ApiError> {
    let admitted = call.admit(app, FlowId(flow_id.0), kind).await?;
    let Payload { names, members } = payload()?;
    let mut variables = app.triggers.payload(admitted.target, &admitted.cause, members).await?.variables;
    variables.sort_by_key(|variable| names.iter().position(|name| name == variable).unwrap_or(usize::MAX));
    Ok(Json(Started { success: true, message: "Lead received and flow started".to_owned(), variables }))
}

/// The query as a payload. A `+` that arrives as a space becomes one again where it stood before a phone.
fn query(request: &Request) -> Result<Payload, ApiError> {
    let unread = |_| ApiError::invalid("invalid_request", "the query cannot be read");
    let pairs = request.params::<Vec<(String, String)>>().map_err(unread)?;
    let value = |text: String| match text.strip_prefix(' ').map(paths::phone) {
        Some(Ok(phone)) => Value::from(phone.to_string()),
        Some(Err(_)) | None => Value::from(text),
    };
    let names = pairs.iter().map(|(name, _)| name.clone()).collect();
    Ok(Payload { names, members: pairs.into_iter().map(|(name, text)| (name, value(text))).collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_a_payload() {
        let request =
            Request::builder().uri("/x?phone=+972501234567&name=Dana+Levi&note=%20hi".parse().unwrap()).finish();
        let expected = json!({"phone": "+972501234567", "name": "Dana Levi", "note": " hi"});
        let payload = query(&request).unwrap();
        assert_eq!(payload.names, ["phone", "name", "note"]);
        assert_eq!(Value::Object(payload.members), expected);
    }
}
