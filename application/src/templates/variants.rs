//! Other words for a body, by whoever writes them. What comes back is checked before it is shown.

use async_trait::async_trait;
use domain::flow::validation::Problem;
use domain::reason;
use domain::template::category::Category;
use domain::template::variants;

use crate::error::{AppError, AppResult};
use crate::templates::care::TemplateCare;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantWish {
    /// The body.
    pub source_body: String,
    /// What it is for.
    pub source_category: Category,
    /// How many.
    pub count: usize,
    /// What else to mind.
    pub extra_instructions: Option<String>,
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WrittenVariants {
    /// The bodies.
    pub texts: Vec<String>,
    /// What whoever wrote them has to say of it.
    pub remarks: Vec<String>,
}

/// Writes variants of a body.
#[async_trait]
pub trait VariantWriter: Send + Sync {
    /// Who it is.
    fn name(&self) -> &'static str;
    /// Writes them; as many as it can.
    async fn write(&self, wish: &VariantWish) -> AppResult<WrittenVariants>;
}

/// A variant that may be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Variant {
    /// The body.
    pub text: String,
    /// Its characters; 1 024 at most.
    pub characters: u32,
}

/// A variant that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RejectedVariant {
    /// The body as it was written.
    pub text: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// Variants of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct VariantReport {
    /// Who wrote them; `sandbox` rewrites by fixed rules and thinks of nothing.
    pub provider: String,
    /// Those that keep to the rules of authoring and to every placeholder.
    pub variants: Vec<Variant>,
    /// Those that do not, and are not to be used.
    pub rejected: Vec<RejectedVariant>,
    /// What the provider has to say of it.
    pub remarks: Vec<String>,
}

impl TemplateCare {
    /// Other words for a body.
    ///
    /// # Errors
    /// The body breaks a rule itself, or the provider fails.
    pub async fn variants(&self, wish: VariantWish) -> AppResult<VariantReport> {
        let problems = variants::source_problems(&wish.source_body);
        if !problems.is_empty() {
            return Err(AppError::Invalid { message: format!("the body has {} problem(s)", problems.len()), problems });
        }
        let WrittenVariants { texts, mut remarks } = self.writer.write(&wish).await?;
        let (mut good, mut rejected) = (Vec::<Variant>::new(), Vec::new());
        for text in texts.into_iter().map(|text| text.trim().to_owned()) {
            let mut problems = variants::problems(&wish.source_body, &text);
            if good.iter().any(|it| it.text == text) {
                problems.push(Problem::of_field("text", reason!("variant_twice", "is there already")));
            }
            match problems.is_empty() {
                true if good.len() < wish.count => {
                    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                    good.push(Variant { text, characters });
                }
                true => {}
                false => rejected.push(RejectedVariant { text, problems }),
            }
        }
        if good.len() < wish.count {
            remarks.push(format!("{} of {} variants keep to the rules", good.len(), wish.count));
        }
        Ok(VariantReport { provider: self.writer.name().to_owned(), variants: good, rejected, remarks })
    }
}
