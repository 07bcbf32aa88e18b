//! Signing in and up.

pub mod api_token;
pub mod preferences;
pub mod registration;
pub mod session;
pub mod sessions;
pub mod social;
pub mod verification;
