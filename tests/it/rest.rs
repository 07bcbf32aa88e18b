//! The REST operations as their callers see them.

mod access;
mod api_access;
mod assignment;
mod audit_entries;
mod auth;
mod calendar;
mod conversations;
mod delivery;
mod document;
mod employees;
mod errors;
mod exports;
mod flow_credentials;
mod flows;
mod history;
mod idempotency;
mod jwt;
mod languages;
mod leads;
mod limits;
mod lines;
mod newcomer;
mod outbound_status;
mod registration;
mod sessions;
mod social;
mod tasks;
mod templates;
mod tenants;
mod time_travel;
mod triggers;
mod users;
mod what_if;

use serde_json::Value;
use tests::app::Answer;

/// The answer refuses with this status and word, in the one shape errors have.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (status, Some(code)), "{}", answer.text);
    let words = answer.body["error"].as_str().unwrap_or_default();
    assert!(!words.is_empty(), "{}", answer.text);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{answer:?}");
    answer.body.clone()
}
