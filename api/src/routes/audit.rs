//! `/api/audit/…`: who changed what, and proof that the log is as it was.

pub mod entries;
pub mod export;
pub mod verify;
