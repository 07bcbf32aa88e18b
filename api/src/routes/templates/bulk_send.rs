//! `GET,POST,DELETE /api/templates/bulk-send` and `GET …/recipients`.

use std::sync::Arc;

use application::bulk::views::{BulkSendMade, BulkSendView, RecipientFilter, RecipientView};
use application::bulk::{Addressed, BulkRequest, RECIPIENTS_MAX};
use domain::shared::content::TemplateContent;
use domain::shared::ids::{BulkSendId, FlowId, TemplateGroupId, TemplateId};
use poem::Request;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, BareChange, Create, Failure, Read};
use crate::routes::Group;
use crate::routes::answers::{Made, Paged, limit_default, page};
use crate::routes::body::Body;
use crate::security::may::{May, Templates};

/// Somebody with parameters of their own.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct Recipient {
    /// The phone, in international form.
    phone: String,
    /// Body parameters, in order; the common ones when absent.
    template_params: Option<Vec<String>>,
}

/// What is to be sent, and to whom. One of `templateId`, `templateGroupId` and `templateName` says what.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct BulkSendRequest {
    /// The template.
    template_id: Option<TemplateId>,
    /// A group: each message goes out with what it picks, and with its next one when Meta refuses that.
    template_group_id: Option<TemplateGroupId>,
    /// The template's name.
    #[oai(validator(min_length = 1, max_length = 512))]
    template_name: Option<String>,
    /// Its language, where a name or a group leaves it open.
    #[oai(validator(min_length = 2, max_length = 10))]
    template_language: Option<String>,
    /// Body parameters everybody gets, in order.
    #[oai(default)]
    template_params: Vec<String>,
    /// The header's parameter: a text, or the link of a picture, video or document.
    header_param: Option<String>,
    /// Phones, in international form; at most 100 000 together with `recipients`.
    #[oai(default)]
    phones: Vec<String>,
    /// The same, with parameters of their own.
    #[oai(default)]
    recipients: Vec<Recipient>,
    /// An active flow with a `trigger_outbound` node: who answers goes on in it.
    flow_id: Option<FlowId>,
    /// The line; the group's own one when absent, else the primary one.
    phone_number_id: Option<String>,
    /// Whether templates of the category MARKETING may be sent.
    #[oai(default)]
    allow_marketing: bool,
    /// Whether those get it too who got the same template within 24 hours; kept in the audit.
    #[oai(default)]
    force_send: bool,
}

impl BulkSendRequest {
    fn request(self) -> Result<BulkRequest, ApiError> {
        let named = [self.template_id.is_some(), self.template_group_id.is_some(), self.template_name.is_some()];
        if named.iter().filter(|named| **named).count() != 1 {
            let words = "say what to send with one of templateId, templateGroupId and templateName";
            return Err(ApiError::invalid("invalid_request", words));
        }
        let many = self.phones.len() + self.recipients.len();
        if many == 0 || many > RECIPIENTS_MAX {
            let words = format!("name 1 to {RECIPIENTS_MAX} phones; these are {many}");
            return Err(ApiError::invalid("invalid_request", words));
        }
        let plain = self.phones.into_iter().map(|phone| Addressed { phone, params: None });
        let own = self.recipients.into_iter().map(|it| Addressed { phone: it.phone, params: it.template_params });
        Ok(BulkRequest {
            content: TemplateContent {
                name: self.template_name.unwrap_or_default(),
                language: self.template_language.filter(|_| self.template_id.is_none()).unwrap_or_default(),
                params: self.template_params,
                header_param: self.header_param,
                button_params: Vec::new(),
                group_id: self.template_group_id,
                template_id: self.template_id,
            },
            recipients: plain.chain(own).collect(),
            flow_id: self.flow_id,
            phone_number_id: self.phone_number_id,
            allow_marketing: self.allow_marketing,
            force_send: self.force_send,
        })
    }
}

/// Bulk sends.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct BulkSendList {
    /// The newest first.
    bulk_sends: Vec<BulkSendView>,
}

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum RecipientState {
    /// Not handed over yet.
    Waiting,
    /// The message was handed over.
    HandedOver,
    /// Not sent to.
    Skipped,
}

/// Bulk sends.
pub struct BulkSendsApi;

#[OpenApi(prefix_path = "/templates/bulk-send", tag = "Group::Templates")]
impl BulkSendsApi {
    /// Send a template to many customers
    ///
    /// Answers once every recipient is kept: each gets one message, whatever happens to a node meanwhile. Messages of
    /// conversations go before them. Passed over, each with its reason: phones named twice or without a number, who got
    /// the same template within 24 hours (unless `forceSend`), and who opted out, always. `GET` shows how far it is.
    #[oai(path = "/", method = "post", operation_id = "startBulkSend")]
    async fn start(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<BulkSendRequest>,
    ) -> Result<Made<BulkSendMade>, Failure<Create>> {
        let made = app.bulk_sends.start(&caller.session, body.0.request()?).await?;
        Ok(Made::Created(Json(made), None))
    }

    /// Show how far bulk sends are
    ///
    /// The one with this id, or the newest 50; fewer once 100 000 recipients are counted among them.
    #[oai(path = "/", method = "get", operation_id = "getBulkSends")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// One bulk send.
        id: Query<Option<BulkSendId>>,
    ) -> Result<Json<BulkSendList>, Failure<Read>> {
        Ok(Json(BulkSendList { bulk_sends: app.bulk_sends.list(&caller.session, id.0).await? }))
    }

    /// List the recipients of a bulk send
    ///
    /// In the order they were named, each with how far the message is or why it was not sent.
    #[oai(path = "/recipients", method = "get", operation_id = "listBulkRecipients")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn recipients(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        request: &Request,
        /// The bulk send.
        id: Query<BulkSendId>,
        /// Only those who stand so.
        state: Query<Option<RecipientState>>,
        /// Recipients of a page.
        #[oai(default = "limit_default", validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<u32>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Paged<Vec<RecipientView>>, Failure<Read>> {
        let state = state.0.map(|state| match state {
            RecipientState::Waiting => 0,
            RecipientState::HandedOver => 2,
            RecipientState::Skipped => 3,
        });
        let page = page(*limit, cursor.0.as_deref())?;
        let found = app.bulk_sends.recipients(&caller.session, id.0, RecipientFilter { state }, &page).await?;
        Ok(Paged::of(found, request))
    }

    /// Cancel a bulk send
    ///
    /// Who was not handed over yet gets nothing; what is on its way goes on, at most half a second of the line. Cancelling
    /// one that has ended changes nothing.
    #[oai(path = "/", method = "delete", operation_id = "cancelBulkSend")]
    async fn cancel(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The bulk send.
        id: Query<BulkSendId>,
    ) -> Result<Json<BulkSendView>, Failure<BareChange>> {
        Ok(Json(app.bulk_sends.cancel(&caller.session, id.0).await?))
    }
}
