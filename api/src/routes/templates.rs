//! `/api/templates`.

pub mod ai_variants;
pub mod approved_audit;
pub mod archive_history;
pub mod bulk_send;
pub mod catalogue;
pub mod check_sent;
pub mod controlled_batch;
pub mod groups;
pub mod health_actions;
pub mod waba_migration;
