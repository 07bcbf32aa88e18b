//! `/api/templates`.

pub mod bulk_send;
pub mod catalogue;
pub mod groups;
