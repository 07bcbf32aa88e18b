//! `/api/audit/…`: proof that the log is as it was.

pub mod export;
pub mod verify;
