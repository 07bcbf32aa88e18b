//! What every request passes through, from the outside in: observation, headers, the reader's language, idempotency,
//! uniform errors, panics, size limits.

pub mod body_limit;
pub mod headers;
pub mod idempotency;
pub mod known_paths;
pub mod observe;
pub mod panics;
pub mod prolong;
pub mod rate_limit;
pub mod translate;
pub mod uniform_errors;
