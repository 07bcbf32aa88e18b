//! `/api/templates`.

pub mod catalogue;
pub mod groups;
