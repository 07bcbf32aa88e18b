//! What keeps a set of templates in order: what was sent, what came of it, what else could be said, how it once was.

use std::sync::Arc;

use crate::channels::lines::LineStore;
use crate::templates::Templates;
use crate::templates::approved_audit::TemplateFigures;
use crate::templates::archive::TemplateArchive;
use crate::templates::batch::Batches;
use crate::templates::check_sent::SentTemplates;
use crate::templates::groups::TemplateGroups;
use crate::templates::variants::VariantWriter;
use crate::time::{Clock, NewId};

/// Care for templates.
pub struct TemplateCare {
    /// The templates.
    pub templates: Arc<Templates>,
    /// Their groups.
    pub groups: Arc<TemplateGroups>,
    /// The lines groups send on.
    pub lines: Arc<dyn LineStore>,
    /// Templates among messages.
    pub sent: Arc<dyn SentTemplates>,
    /// What came of them.
    pub figures: Arc<dyn TemplateFigures>,
    /// How all of it once was.
    pub archive: Arc<dyn TemplateArchive>,
    /// Many submissions, one after the other.
    pub batches: Arc<Batches>,
    /// Who finds other words.
    pub writer: Arc<dyn VariantWriter>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}
