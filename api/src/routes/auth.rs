//! Signing in.

pub mod api_token;
pub mod session;
