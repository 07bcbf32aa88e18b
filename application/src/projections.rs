//! Projections, as administrators see and rebuild them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::AppResult;
use crate::time::Stamp;

/// A document that is not the same in two generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Difference {
    /// The account.
    pub account_id: Uuid,
    /// The document's key.
    pub key: String,
    /// `missing` in the new generation, `extra` in it, or `changed`.
    pub kind: String,
}

/// A new generation against the one that is live, key by key at the same cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct Differences {
    /// Documents the new one does not have.
    pub missing: i64,
    /// Documents only the new one has.
    pub extra: i64,
    /// Documents that say something else.
    pub changed: i64,
    /// Some of them.
    pub sample: Vec<Difference>,
    /// Why there was nothing to compare with at the same cursor.
    pub skipped: Option<String>,
}

impl Differences {
    /// Whether there is any.
    pub const fn any(&self) -> bool {
        self.missing + self.extra + self.changed > 0
    }
}

/// A range of streams that is read on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SliceProgress {
    /// Its number, from 0.
    pub slice: i32,
    /// Events that are in.
    pub events_done: i64,
    /// Events a second.
    pub rate: f64,
    /// Nothing is left of it.
    pub done: bool,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct RebuildProgress {
    /// `slices` (reading what was there at the start), `catching_up`, `comparing`, `swapping`.
    pub phase: String,
    /// The generation on its way.
    pub generation: i32,
    /// Events that are in.
    pub events_done: i64,
    /// Events there were at the start; an estimate until the slices are done.
    pub events_total: i64,
    /// Events a second.
    pub rate: f64,
    /// Seconds until the slices are done, at this rate.
    pub eta_seconds: Option<f64>,
    /// When it was asked for.
    pub started_at: Stamp,
    /// Its slices.
    pub slices: Vec<SliceProgress>,
    /// Against the live generation, once compared.
    pub differences: Option<Differences>,
    /// Why it halted.
    pub error: Option<String>,
}

/// A projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct ProjectionView {
    /// Its name.
    pub name: String,
    /// `running`, `halted` (see `error`), `rebuilding`, or `paused`: a rebuild waits for a person.
    pub status: String,
    /// Events the live generation has not taken in; exact up to 10 000, an estimate beyond.
    pub lag_events: i64,
    /// The age of the oldest of them, in seconds.
    pub lag_seconds: f64,
    /// Events a second, smoothed over about 10 s.
    pub rate: f64,
    /// The live generation.
    pub generation: i32,
    /// Where it stands in the log.
    pub position: String,
    /// The rebuild under way.
    pub progress: Option<RebuildProgress>,
    /// What the last rebuild found different.
    pub differences: Option<Differences>,
    /// The event it halted at, and why.
    pub error: Option<String>,
    /// The generation a rollback brings back; kept for 24 hours.
    pub former_generation: Option<i32>,
}

/// What administrators do with projections. What is asked for is done by whichever node has the time.
#[async_trait]
pub trait Projections: Send + Sync {
    /// Every projection, by name.
    ///
    /// # Errors
    /// The database.
    async fn list(&self) -> AppResult<Vec<ProjectionView>>;

    /// One projection.
    ///
    /// # Errors
    /// There is none of this name.
    async fn one(&self, name: &str) -> AppResult<ProjectionView>;

    /// Starts to build a new generation beside the live one. One that was given up or had halted is dropped, and so
    /// is the one kept for a rollback. With `confirm`, it waits for a person when it differs from the live one.
    ///
    /// # Errors
    /// There is none of this name, or a rebuild is under way.
    async fn rebuild(&self, name: &str, confirm: bool) -> AppResult<ProjectionView>;

    /// Pauses the build; what it has is kept.
    ///
    /// # Errors
    /// There is none of this name, or none is being built.
    async fn cancel(&self, name: &str) -> AppResult<ProjectionView>;

    /// Goes on with a paused build, confirming its differences, or with what had halted.
    ///
    /// # Errors
    /// There is none of this name, or nothing has stopped.
    async fn resume(&self, name: &str) -> AppResult<ProjectionView>;

    /// Brings the former generation back, at the head of the log.
    ///
    /// # Errors
    /// There is none of this name, none is kept, or a rebuild is under way.
    async fn rollback(&self, name: &str) -> AppResult<ProjectionView>;
}
