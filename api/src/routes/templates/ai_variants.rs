//! `POST /api/templates/ai-variants`.

use std::sync::Arc;

use application::templates::variants::{VariantReport, VariantWish};
use domain::template::category::Category;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use crate::app::App;
use crate::error::{Ask, Failure};
use crate::routes::Group;
use crate::routes::body::Body;
use crate::security::may::{Generating, Templates};

/// What a body is for. A code's words are Meta's own, and nobody's to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
enum SourceCategory {
    /// About something the customer agreed to or asked for.
    Utility,
    /// Offers, news, invitations.
    Marketing,
}

/// The body other words are wanted for.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct VariantsRequest {
    /// The body, with its placeholders; it must keep to the rules of authoring itself.
    #[oai(validator(min_length = 1, max_length = 4_096))]
    source_body: String,
    /// `UTILITY` when absent.
    source_category: Option<SourceCategory>,
    /// How many variants.
    #[oai(default = "count_default", validator(minimum(value = "1"), maximum(value = "10")))]
    count: u32,
    /// What else to mind, in words.
    #[oai(validator(max_length = 1_000))]
    extra_instructions: Option<String>,
}

const fn count_default() -> u32 {
    3
}

/// Other words.
pub struct AiVariantsApi;

#[OpenApi(prefix_path = "/templates/ai-variants", tag = "Group::Templates")]
impl AiVariantsApi {
    /// Find other words for a body
    ///
    /// Variants of a template's body that say the same. Each is checked before it is shown: it keeps every placeholder,
    /// adds none, and Meta would not refuse it; what does not is listed as `rejected`, with the reasons. Nothing is kept
    /// and nothing submitted. `provider` says who wrote them.
    #[oai(path = "/", method = "post", operation_id = "suggestTemplateVariants")]
    async fn suggest(
        &self,
        app: Data<&Arc<App>>,
        caller: Generating<Templates>,
        body: Body<VariantsRequest>,
    ) -> Result<Json<VariantReport>, Failure<Ask>> {
        let VariantsRequest { source_body, source_category, count, extra_instructions } = body.0;
        let source_category = match source_category {
            Some(SourceCategory::Marketing) => Category::Marketing,
            Some(SourceCategory::Utility) | None => Category::Utility,
        };
        let wish = VariantWish { source_body, source_category, count: count as usize, extra_instructions };
        let mut report = app.template_care.variants(wish).await?;
        report.rejected.iter_mut().for_each(|variant| caller.0.reads(&mut variant.problems));
        Ok(Json(report))
    }
}
