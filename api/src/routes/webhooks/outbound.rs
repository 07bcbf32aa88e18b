//! `POST /api/webhook/outbound`.

use std::collections::HashMap;
use std::sync::Arc;

use application::conversations::triggers::OutboundRequest;
use application::error::AppError;
use domain::shared::ids::FlowId;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Change, Failure};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::routes::paths::phone;
use crate::security::may::Limited;

/// Whom to write to, and what with.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct Trigger {
    /// The customer's phone, in international form.
    phone: String,
    /// An active flow with a `trigger_outbound` node.
    flow_id: FlowId,
    /// A template group: the template it picks goes first when the customer's window is closed, and its next ones when
    /// Meta refuses that. It counts before `templateId` and `templateName`.
    template_group_id: Option<String>,
    /// An approved template to send first, by its name; language and parameters come from `data`.
    #[oai(validator(min_length = 1, max_length = 512))]
    template_name: Option<String>,
    /// An approved template to send first, by its id; it counts before `templateName`.
    template_id: Option<String>,
    /// Whether the answer comes before the first message is tried.
    #[oai(default)]
    queue: bool,
    /// Variables of the run. `templateLanguage`, `templateParams`, `headerParam`, `buttonParams` and `phoneNumberId` also
    /// say how and from which line the template is sent; the first of `templateParams` becomes `code` and
    /// `otpCode` when those are absent.
    #[oai(default)]
    data: HashMap<String, Value>,
}

/// What was started.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Triggered {
    /// Always true.
    success: bool,
    /// In words.
    message: String,
    /// The flow.
    flow_id: FlowId,
}

impl Trigger {
    fn request(self) -> Result<OutboundRequest, ApiError> {
        let unknown = || ApiError::from(AppError::TemplateUnknown);
        let group = self.template_group_id.map(|id| id.parse().map_err(|_| unknown())).transpose()?;
        let template = self.template_id.map(|id| id.parse().map_err(|_| unknown())).transpose()?;
        Ok(OutboundRequest {
            phone: phone(&self.phone)?,
            flow_id: self.flow_id,
            template_group_id: group,
            template_id: template,
            template_name: self.template_name,
            queue: self.queue,
            data: self.data.into_iter().collect(),
        })
    }
}

/// The outbound trigger.
pub struct Outbound;

#[OpenApi(prefix_path = "/webhook/outbound", tag = "Group::Webhooks")]
impl Outbound {
    /// Start an outbound flow
    ///
    /// Writes to a customer first. Outside the 24-hour window the first message must be a template; the
    /// customer's answer then goes on in the same flow. Inside it, a flow that begins by saying something says it at
    /// once, without the template. 409 `template_unavailable` says why none of the templates may be sent. Without `queue`, the answer comes when the channel
    /// took or refused the first message, after 10 s at the latest.
    #[oai(path = "/", method = "post", operation_id = "triggerOutboundFlow")]
    async fn trigger(
        &self,
        app: Data<&Arc<App>>,
        caller: Limited,
        body: Body<Trigger>,
    ) -> Result<Json<Triggered>, Failure<Change>> {
        let session = &caller.0.session;
        let request = body.0.request()?;
        let (phone, flow_id) = (request.phone.clone(), request.flow_id);
        let started = app.triggers.outbound(session.tenant, &session.cause(), request).await?;
        let trying = started.first.is_some_and(|first| first.status == "queued");
        let still = if trying { "; its first message is still being tried" } else { "" };
        Ok(Json(Triggered { success: true, message: format!("Outbound flow triggered for {phone}{still}"), flow_id }))
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ParseFromJSON;
    use serde_json::json;

    use super::*;

    fn read(extra: Value) -> Result<OutboundRequest, ApiError> {
        let mut body = json!({"phone": "+972501234567", "flowId": "a8b4ef2d-a8a4-4650-9414-ab6f335e01b4"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Trigger::parse_from_json(Some(body)).map_err(poem_openapi::types::ParseError::into_message).unwrap().request()
    }

    #[test]
    fn a_group_counts_before_an_id_and_an_id_before_a_name() {
        let id = "a8b4ef2d-a8a4-4650-9414-ab6f335e01b4";
        let named = read(json!({"templateGroupId": id, "templateName": "hello", "queue": true})).unwrap();
        assert_eq!((named.template_name.as_deref(), named.queue), (Some("hello"), true));
        assert_eq!(named.template_group_id.map(|it| it.to_string()).as_deref(), Some(id));
        assert_eq!(read(json!({"templateGroupId": "g"})).unwrap_err().body.code, "template_unknown");
        assert_eq!(read(json!({"data": {"templateId": "t"}})).unwrap().data["templateId"], "t");
    }

    #[test]
    fn a_phone_must_be_one() {
        assert_eq!(read(json!({"phone": "0501234567"})).unwrap_err().body.code, "phone_invalid");
    }
}
