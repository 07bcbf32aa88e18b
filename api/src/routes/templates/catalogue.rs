//! `GET,POST,PUT /api/templates`, `GET,DELETE /api/templates/{name}`.

use std::sync::Arc;

use application::templates::Approval;
use application::templates::groups::TEMPLATES_MAX;
use application::templates::named::TemplateName;
use application::templates::ports::TemplateFilter;
use application::templates::submit::NewTemplate;
use application::templates::sync::SyncReport;
use application::templates::views::TemplateView;
use domain::shared::ids::{TemplateGroupId, TemplateId};
use domain::template::category::NonUtility;
use domain::template::deletion::ClientApproval;
use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Change, Deletion, Failure, List, Read, Submission};
use crate::routes::Group;
use crate::routes::answers::{Answer, Made, next, page};
use crate::routes::body::{Body, OptionalBody};
use crate::routes::history::at;
use crate::security::may::{May, Templates};

/// A template to be submitted.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TemplateRequest {
    /// 1 to 512 of `a-z 0-9 _`.
    name: String,
    /// `UTILITY` when absent. `MARKETING` and `AUTHENTICATION` need `nonUtilityOverride` and a reason.
    category: Option<String>,
    /// Its language as Meta writes it, such as `he` or `en_US`.
    language: String,
    /// Its components in Meta's JSON. A media header has `example.header_handle`, or the file itself as
    /// `example.header_media` of `{fileName, contentType, data}` with `data` in base64, which is uploaded.
    components: Vec<Value>,
    /// The group it joins once Meta took it.
    target_group_id: Option<TemplateGroupId>,
    /// The group it joins, by its name; made when there is none.
    target_group_name: Option<String>,
    /// True for a category other than `UTILITY`.
    non_utility_override: Option<bool>,
    /// Why, at most 500 characters; kept for audit.
    non_utility_override_reason: Option<String>,
}

/// What a person decides about a template; one of it at least.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct ApprovalRequest {
    /// The template.
    id: TemplateId,
    /// Whether it may be sent before the client signed it off; true until somebody takes it back.
    is_work_approved: Option<bool>,
    /// True to agree to the category Meta moved it to.
    non_utility_override: Option<bool>,
    /// Why, at most 500 characters; kept for audit.
    non_utility_override_reason: Option<String>,
}

/// What the client said to a deletion.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct DeletionRequest {
    /// Whether the client agreed.
    client_approval_confirmed: Option<bool>,
    /// In their words, at most 500 characters; kept for audit.
    #[oai(validator(max_length = 500))]
    client_approval_reason: Option<String>,
}

/// Templates, and how the sync with Meta went.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct TemplateList {
    /// The templates, by name and language.
    templates: Vec<TemplateView>,
    /// How the sync went.
    sync_report: SyncReport,
}

/// What was deleted.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct DeletedTemplates {
    /// Always true.
    success: bool,
    /// The templates as they stand; `nameBlockedUntil` says when a name is free again.
    deleted: Vec<TemplateView>,
}

#[derive(ApiResponse)]
enum Listed {
    /// The templates.
    #[oai(status = 200)]
    Page(
        Json<TemplateList>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "X-Next-Cursor")]
        Option<String>,
        /// The next page's address, as `<…>; rel="next"`; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// How many there are on all pages.
        #[oai(header = "X-Total-Count")]
        Option<u64>,
    ),
}

#[derive(ApiResponse)]
enum Gone {
    /// Deleted at Meta and here.
    #[oai(status = 200)]
    Ok(Json<DeletedTemplates>),
}

impl From<TemplateRequest> for NewTemplate {
    fn from(request: TemplateRequest) -> Self {
        Self {
            name: request.name,
            category: request.category,
            language: request.language,
            components: Value::from(request.components),
            non_utility: NonUtility {
                wanted: request.non_utility_override.unwrap_or_default(),
                reason: request.non_utility_override_reason,
            },
            target_group_id: request.target_group_id,
            target_group_name: request.target_group_name,
        }
    }
}

/// Templates.
pub struct TemplatesApi;

#[OpenApi(prefix_path = "/templates", tag = "Group::Templates")]
impl TemplatesApi {
    /// List templates
    ///
    /// Every template of the account after a sync with Meta: status, quality, category, rejection reason. Syncs of one
    /// business account are made one at a time; what came of one answers for those who ask within two seconds.
    /// `syncReport.stale` is true when Meta could not be asked, or its quota is nearly used up: then the rows are as
    /// they were last known. Deleted templates are shown with `status=DELETED` alone.
    #[oai(path = "/", method = "get", operation_id = "listTemplates")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        request: &Request,
        /// In this status, such as `APPROVED`.
        #[oai(validator(max_length = 60))]
        status: Query<Option<String>>,
        /// With this name.
        #[oai(validator(max_length = 512))]
        name: Query<Option<String>>,
        /// Rows of a page; all of them when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed, Failure<List>> {
        let filter = TemplateFilter { status: status.0.map(|word| word.to_uppercase()), name: name.0 };
        let wanted = page(limit.0.unwrap_or(TEMPLATES_MAX), cursor.as_deref())?;
        let (found, sync_report) = app.templates.list(&caller.session, &filter, &wanted).await?;
        let (cursor, link) = next(found.next.as_ref(), request.original_uri());
        Ok(Listed::Page(Json(TemplateList { templates: found.rows, sync_report }), cursor, link, found.total))
    }

    /// Submit a template
    ///
    /// Checks everything Meta would refuse and names every problem at once with its field, such as
    /// `components[1].text`; then submits it. It is `PENDING` until Meta has reviewed it: follow it in the list. An
    /// hour takes 100 submissions a business account.
    #[oai(path = "/", method = "post", operation_id = "submitTemplate")]
    async fn submit(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<TemplateRequest>,
    ) -> Result<Made<TemplateView>, Failure<Submission>> {
        Ok(app.templates.submit(&caller.session, body.0.into()).await?.into())
    }

    /// Approve a template for work
    ///
    /// `isWorkApproved` says whether it may be sent before the client signed it off. `nonUtilityOverride` with a reason
    /// agrees to the category Meta moved it to, without which it is not sent.
    #[oai(path = "/", method = "put", operation_id = "approveTemplate")]
    async fn approve(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<ApprovalRequest>,
    ) -> Result<Answer<TemplateView>, Failure<Change>> {
        let ApprovalRequest { id, is_work_approved, non_utility_override, non_utility_override_reason } = body.0;
        let word = non_utility_override.or(non_utility_override_reason.as_ref().map(|_| false));
        let non_utility = word.map(|wanted| NonUtility { wanted, reason: non_utility_override_reason });
        if is_work_approved.is_none() && non_utility.is_none() {
            return Err(
                ApiError::invalid("invalid_request", "`isWorkApproved` or `nonUtilityOverride` is required").into()
            );
        }
        let approval = Approval { is_work_approved, non_utility };
        Ok(app.templates.approve(&caller.session, id, approval).await?.into())
    }

    /// A template
    ///
    /// By its name, as it was last known; the list asks Meta. A name may have a template in each of several languages:
    /// then `language` says which. One that was deleted is shown while no other has its name. With `at`, as it was then.
    #[oai(path = "/:name", method = "get", operation_id = "getTemplate")]
    async fn get(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The template's name.
        name: Path<String>,
        /// In this language.
        #[oai(validator(max_length = 20))]
        language: Query<Option<String>>,
        /// Of this WhatsApp Business Account, where several have the name in that language.
        #[oai(name = "wabaId", validator(max_length = 60))]
        waba_id: Query<Option<String>>,
        /// As it was at this time or position.
        #[oai(name = "at")]
        then: Query<Option<String>>,
    ) -> Result<Json<TemplateView>, Failure<Read>> {
        let wanted = TemplateName { name: name.0, language: language.0, waba_id: waba_id.0 };
        Ok(Json(match at(then.as_deref())? {
            None => app.templates.get(&caller.session, &wanted).await?,
            Some(at) => app.past.template(&caller.session, &wanted, &at).await?,
        }))
    }

    /// Delete a template
    ///
    /// At Meta and here: in every language, or in one. The name of one that was approved cannot be used again for 30
    /// days. A disabled template cannot be deleted. What the client said to it is kept for audit.
    #[oai(path = "/:name", method = "delete", operation_id = "deleteTemplate")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The template's name.
        name: Path<String>,
        /// In this language alone.
        #[oai(validator(max_length = 20))]
        language: Query<Option<String>>,
        body: OptionalBody<DeletionRequest>,
    ) -> Result<Gone, Failure<Deletion>> {
        let said = body.0.filter(|it| it.client_approval_confirmed.is_some() || it.client_approval_reason.is_some());
        let approval = said.map(|said| ClientApproval {
            confirmed: said.client_approval_confirmed.unwrap_or_default(),
            reason: said.client_approval_reason,
        });
        let deleted = app.templates.delete(&caller.session, &name, language.as_deref(), approval).await?;
        Ok(Gone::Ok(Json(DeletedTemplates { success: true, deleted })))
    }
}
