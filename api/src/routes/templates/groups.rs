//! `GET,POST,PUT,DELETE /api/templates/groups`.

use std::sync::Arc;

use application::templates::groups::{TemplateGroupView, TemplatePicker};
use domain::shared::ids::TemplateGroupId;
use domain::template_group::Member;
use domain::template_group::command::GroupChange;
use domain::template_group::pick_strategy::PickStrategy;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{BareChange, Change, Create, Failure, List};
use crate::routes::Group;
use crate::routes::answers::{Answer, DONE, Done, Made};
use crate::routes::body::Body;
use crate::routes::paths::Id;
use crate::security::may::{May, Templates};

/// A template by what names it.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct MemberRequest {
    /// Its name.
    name: String,
    /// Its language, such as `he` or `en_US`.
    language: String,
}

/// A group to be made.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct GroupRequest {
    /// 1 to 200 characters.
    name: String,
    /// Its templates, in their order; each must be one of the account's.
    templates: Vec<MemberRequest>,
    /// At most 2 000 characters.
    description: Option<String>,
    /// `preferred_then_others` when absent.
    pick_strategy: Option<PickStrategy>,
    /// The line it sends on.
    preferred_phone_number_id: Option<String>,
}

/// What is changed of a group; absent parts stay as they are.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct GroupUpdate {
    /// The group.
    id: TemplateGroupId,
    /// 1 to 200 characters.
    name: Option<String>,
    /// All its templates, in their order.
    templates: Option<Vec<MemberRequest>>,
    /// At most 2 000 characters.
    description: Option<String>,
    /// How one of its templates is picked.
    pick_strategy: Option<PickStrategy>,
    /// The line it sends on; an empty text unpins it.
    preferred_phone_number_id: Option<String>,
}

fn members(list: Vec<MemberRequest>) -> Vec<Member> {
    list.into_iter().map(|MemberRequest { name, language }| Member { name, language }).collect()
}

fn pinned(line: Option<String>) -> Option<Option<String>> {
    line.map(|line| Some(line).filter(|line| !line.is_empty()))
}

impl From<GroupRequest> for GroupChange {
    fn from(group: GroupRequest) -> Self {
        Self {
            name: Some(group.name),
            description: group.description,
            strategy: group.pick_strategy,
            members: Some(members(group.templates)),
            phone_number_id: pinned(group.preferred_phone_number_id),
        }
    }
}

/// Groups of templates.
pub struct TemplateGroupsApi;

#[OpenApi(prefix_path = "/templates/groups", tag = "Group::Templates")]
impl TemplateGroupsApi {
    /// List template groups
    ///
    /// Everything a picker needs: the groups with how each of their templates stands, every approved template, every
    /// line.
    #[oai(path = "/", method = "get", operation_id = "listTemplateGroups")]
    async fn list(&self, app: Data<&Arc<App>>, caller: May<Templates>) -> Result<Json<TemplatePicker>, Failure<List>> {
        Ok(Json(app.template_groups.picker(&caller.session).await?))
    }

    /// Make a template group
    ///
    /// A group bundles templates that say the same. `pickStrategy` says which is sent: `preferred_then_others` the
    /// first that may be, `round_robin` one after the other, `random` by chance; one that may not be sent is passed
    /// over. `preferredPhoneNumberId` pins it to a line.
    #[oai(path = "/", method = "post", operation_id = "createTemplateGroup")]
    async fn create(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<GroupRequest>,
    ) -> Result<Made<TemplateGroupView>, Failure<Create>> {
        Ok(app.template_groups.create(&caller.session, body.0.into()).await?.into())
    }

    /// Change a template group
    ///
    /// Rename it, reorder or replace its templates, pick otherwise, pin it to another line.
    #[oai(path = "/", method = "put", operation_id = "updateTemplateGroup")]
    async fn update(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        body: Body<GroupUpdate>,
    ) -> Result<Answer<TemplateGroupView>, Failure<Change>> {
        let GroupUpdate { id, name, templates, description, pick_strategy, preferred_phone_number_id } = body.0;
        let change = GroupChange {
            name,
            description,
            strategy: pick_strategy,
            members: templates.map(members),
            phone_number_id: pinned(preferred_phone_number_id),
        };
        Ok(app.template_groups.change(&caller.session, id, change).await?.into())
    }

    /// Delete a template group
    ///
    /// It is not shown or used any more; its history stays. Its templates are not touched.
    #[oai(path = "/", method = "delete", operation_id = "deleteTemplateGroup")]
    async fn delete(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Templates>,
        /// The group.
        id: Query<Id>,
    ) -> Result<Json<Done>, Failure<BareChange>> {
        app.template_groups.delete(&caller.session, TemplateGroupId(id.0.0)).await?;
        Ok(DONE)
    }
}
