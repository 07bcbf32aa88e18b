//! Care for templates: its adapters, once.

use std::sync::Arc;

use application::templates::Templates;
use application::templates::batch::Batches;
use application::templates::care::TemplateCare;
use application::templates::groups::TemplateGroups;
use application::time::{Clock, NewId};
use infrastructure::postgres::lines::PgLines;
use infrastructure::postgres::readers::template_sends::PgTemplateSends;
use infrastructure::postgres::template_archive::PgTemplateArchive;
use infrastructure::postgres::template_batches::PgTemplateBatches;
use infrastructure::sandbox::variants::SandboxVariants;
use sqlx::PgPool;

/// Care for templates. Variants are written by the sandbox, which says so in every answer.
pub fn templates(
    pool: &PgPool,
    templates: &Arc<Templates>,
    groups: &Arc<TemplateGroups>,
    lines: &Arc<PgLines>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn NewId>,
) -> TemplateCare {
    let batches = Batches {
        store: Arc::new(PgTemplateBatches { pool: pool.clone() }),
        templates: Arc::clone(templates),
        ids: Arc::clone(ids),
    };
    let sends = Arc::new(PgTemplateSends { pool: pool.clone() });
    TemplateCare {
        templates: Arc::clone(templates),
        groups: Arc::clone(groups),
        lines: lines.clone(),
        sent: sends.clone(),
        figures: sends,
        archive: Arc::new(PgTemplateArchive { pool: pool.clone() }),
        batches: Arc::new(batches),
        writer: Arc::new(SandboxVariants),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
    }
}
