//! Signing in.

pub mod api_token;
pub mod session;
pub mod sessions;
pub mod social;
