//! Settings of an account.

pub mod api_access;
pub mod whatsapp;
