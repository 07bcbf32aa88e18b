//! The keys that sign tokens: one signs, those before it are good for what they signed.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::actor::Session;
use crate::error::AppResult;
use crate::time::Stamp;

/// How long a key is good after another took its place: the longest token lives a day, and clocks differ a little.
pub const GOOD_FOR: TimeDelta = TimeDelta::hours(25);

/// A key, without itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename = "SigningKey", rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct SigningKeyView {
    /// What tokens call it in their header.
    pub kid: String,
    /// Which one it is, counted from 1.
    pub generation: i64,
    /// Whether new tokens are signed with it.
    pub current: bool,
    /// When it was made.
    pub created_at: Stamp,
    /// Until when its tokens are taken; absent for the current one.
    pub good_until: Option<Stamp>,
}

/// The keys; every change with an audit entry in the same transaction.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// Those that are good, the newest first.
    async fn list(&self, now: DateTime<Utc>) -> AppResult<Vec<SigningKeyView>>;
    /// Makes a new one, which signs from now on.
    async fn rotate(&self, session: &Session, now: DateTime<Utc>) -> AppResult<Vec<SigningKeyView>>;
}
