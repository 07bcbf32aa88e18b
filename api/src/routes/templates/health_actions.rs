//! `POST /api/templates/health-actions`.

use std::sync::Arc;

use application::flows::Written;
use application::templates::Approval;
use application::templates::health::UtilityProposal;
use application::templates::views::TemplateView;
use domain::shared::ids::TemplateId;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{ApiError, Change, Failure};
use crate::routes::Group;
use crate::routes::answers::{Answer, lag};
use crate::routes::body::Body;
use crate::security::may::{May, Templates};

/// What to do about a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum HealthAction {
    /// Take the approval to work with it back; `PUT /api/templates` gives it again.
    MarkWorkOff,
    /// Let it rest: nothing sends it until it is resumed. Takes a `reason`.
    PauseTemplate,
    /// Lift our own pause. A pause of Meta's is not ours to lift.
    ResumeTemplate,
    /// Propose it without what Meta files under MARKETING. Sends and submits nothing.
    SafeUtilityRewriteDryRun,
}

/// What to do, and to which template.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct HealthRequest {
    /// What.
    action: HealthAction,
    /// The template.
    template_id: TemplateId,
    /// Why; for `pause_template`, kept for audit.
    #[oai(validator(max_length = 500))]
    reason: Option<String>,
}

/// What came of it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct HealthResult {
    /// Always true.
    success: bool,
    /// What was done.
    action: HealthAction,
    /// The template as it stands; absent for a dry run.
    template: Option<TemplateView>,
    /// The proposal of a dry run.
    proposal: Option<UtilityProposal>,
}

/// Care for one template.
pub struct HealthActionsApi;

#[OpenApi(prefix_path = "/templates/health-actions", tag = "Group::Templates")]
impl HealthActionsApi {
    /// Act on a template's health
    ///
    /// `mark_work_off` takes its work approval back. `pause_template` lets it rest: whatever sends templates passes it
    /// over until `resume_template`, whatever Meta thinks of it. `safe_utility_rewrite_dry_run` proposes the template
    /// without what Meta files under MARKETING, with the reasons and with what Meta would refuse of the proposal; it
    /// never sends and never submits.
    #[oai(path = "/", method = "post", operation_id = "actOnTemplateHealth")]
    async fn act(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<HealthRequest>,
    ) -> Result<Answer<HealthResult>, Failure<Change>> {
        let HealthRequest { action, template_id, reason } = body.0;
        if reason.is_some() && action != HealthAction::PauseTemplate {
            return Err(ApiError::invalid("invalid_request", "`reason` goes with `pause_template` alone").into());
        }
        let (templates, session) = (&app.templates, &caller.session);
        let written = match action {
            HealthAction::MarkWorkOff => {
                let off = Approval { is_work_approved: Some(false), non_utility: None };
                templates.approve(session, template_id, off).await?
            }
            HealthAction::PauseTemplate => templates.pause_sending(session, template_id, reason).await?,
            HealthAction::ResumeTemplate => templates.resume_sending(session, template_id).await?,
            HealthAction::SafeUtilityRewriteDryRun => {
                let mut proposal = templates.utility_proposal(session, template_id).await?;
                caller.reads(&mut proposal.problems);
                let result = HealthResult { success: true, action, template: None, proposal: Some(proposal) };
                return Ok(Answer::Ok(Json(result), None));
            }
        };
        let Written { view, caught_up } = written;
        let result = HealthResult { success: true, action, template: Some(view), proposal: None };
        Ok(Answer::Ok(Json(result), lag(caught_up)))
    }
}
