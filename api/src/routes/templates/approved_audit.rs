//! `GET /api/templates/approved-audit`.

use std::sync::Arc;

use application::templates::approved_audit::{ApprovedAudit, DAYS_DEFAULT};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use crate::app::App;
use crate::error::{Failure, List};
use crate::routes::Group;
use crate::security::may::{May, Templates};

const fn days_default() -> u32 {
    DAYS_DEFAULT
}

/// What came of approved templates.
pub struct ApprovedAuditApi;

#[OpenApi(prefix_path = "/templates/approved-audit", tag = "Group::Templates")]
impl ApprovedAuditApi {
    /// Audit the approved templates
    ///
    /// What came of every approved template in the last `days`: sends, deliveries, reads, failures, replies, and who had
    /// it sent. A reply is the customer's first message in the same conversation behind the template and before the next
    /// template there, within 24 hours or 7 days of when the channel took it; reactions are none. Templates nobody sent
    /// are listed with zeros.
    #[oai(path = "/", method = "get", operation_id = "auditApprovedTemplates")]
    async fn audit(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// How many days to look back.
        #[oai(default = "days_default", validator(minimum(value = "1"), maximum(value = "90")))]
        days: Query<u32>,
    ) -> Result<Json<ApprovedAudit>, Failure<List>> {
        Ok(Json(app.template_care.approved_audit(&caller.session, days.0).await?))
    }
}
