//! `GET,POST /api/templates/waba-migration`.

use std::sync::Arc;

use application::templates::migration::{LineMapping, RemapReport, RemapWish};
use domain::shared::ids::TemplateGroupId;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{Change, Failure, List};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::security::may::{May, Templates};

/// Which groups go to which line.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct RemapRequest {
    /// The line they are to send on: Meta's id of the number, one of the account's.
    #[oai(validator(min_length = 1, max_length = 32))]
    to_phone_number_id: String,
    /// Groups that are pinned to this line alone.
    #[oai(validator(min_length = 1, max_length = 32))]
    from_phone_number_id: Option<String>,
    /// These groups; all of them when absent.
    #[oai(validator(min_items = 1, max_items = 1_000))]
    group_ids: Option<Vec<TemplateGroupId>>,
    /// Tell what would be done, and do nothing.
    #[oai(default)]
    dry_run: bool,
}

/// Groups and their lines.
pub struct WabaMigrationApi;

#[OpenApi(prefix_path = "/templates/waba-migration", tag = "Group::Templates")]
impl WabaMigrationApi {
    /// Export which group sends on which line
    ///
    /// Every line and every group with the line it is pinned to, and its templates as they stand on the business account
    /// it sends on. Keep it before an account is connected anew.
    #[oai(path = "/", method = "get", operation_id = "exportLineMapping")]
    async fn export(&self, app: Data<&Arc<App>>, caller: May<Templates>) -> Result<Json<LineMapping>, Failure<List>> {
        Ok(Json(app.template_care.line_mapping(&caller.session).await?))
    }

    /// Let groups send on another line
    ///
    /// Pins all groups, or those that are named or pinned to one line, to another line of the account. Each template is
    /// looked for on the new line's business account, after a sync with Meta: templates do not move with a group, and one
    /// that is `missing` there has to be submitted there. With `dryRun`, the report alone.
    #[oai(path = "/", method = "post", operation_id = "remapGroups")]
    async fn remap(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<RemapRequest>,
    ) -> Result<Json<RemapReport>, Failure<Change>> {
        let RemapRequest { to_phone_number_id, from_phone_number_id, group_ids, dry_run } = body.0;
        let wish = RemapWish { to: to_phone_number_id, from: from_phone_number_id, groups: group_ids, dry_run };
        Ok(Json(app.template_care.remap(&caller.session, wish).await?))
    }
}
