//! One template by its name. A name has a template a language, and may have one in several WhatsApp Business Accounts.

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::templates::Templates;
use crate::templates::views::{TemplateDocument, TemplateView};

/// What names one template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateName {
    /// Its name.
    pub name: String,
    /// Its language; needed when the name has several.
    pub language: Option<String>,
    /// Its WhatsApp Business Account; needed when several have the name in that language.
    pub waba_id: Option<String>,
}

impl TemplateName {
    /// The one that is meant among those of the name, as they stood at some time. What is gone at Meta is shown when
    /// nothing else is meant.
    ///
    /// # Errors
    /// None is meant, or several are.
    pub fn only(&self, documents: Vec<TemplateDocument>) -> AppResult<TemplateView> {
        let mut meant: Vec<TemplateDocument> = documents.into_iter().filter(|it| self.means(it)).collect();
        if meant.iter().any(is_there) {
            meant.retain(is_there);
        }
        match (meant.pop(), meant.is_empty()) {
            (Some(document), true) => TemplateView::of(&document).ok_or(AppError::NotFound("template")),
            (Some(_), false) => Err(AppError::invalid(
                "there are several templates with this name; tell them apart by `language`, or by `wabaId`",
            )),
            (None, _) => Err(AppError::NotFound("template")),
        }
    }

    fn means(&self, document: &TemplateDocument) -> bool {
        let is = |wanted: &Option<String>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        document.known().is_some_and(|it| is(&self.language, &it.language) && is(&self.waba_id, &it.waba_id))
    }
}

fn is_there(document: &TemplateDocument) -> bool {
    document.known().is_some_and(|it| !it.is_gone())
}

impl Templates {
    /// One template as it is known; Meta is not asked.
    ///
    /// # Errors
    /// None is meant, or several are.
    pub async fn get(&self, session: &Session, wanted: &TemplateName) -> AppResult<TemplateView> {
        wanted.only(self.reader.named(session.tenant, &[&wanted.name]).await?)
    }
}
