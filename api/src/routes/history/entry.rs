//! Events as histories tell them.

use application::error::{AppError, AppResult};
use application::history::HistoryEntry;
use application::time::Stamp;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, ResponseContent};
use serde_json::Value;
use uuid::Uuid;

use crate::routes::ndjson::Ndjson;

/// What a line holds beside the payload, generously.
const BESIDE_PAYLOAD_BYTES: usize = 600;

/// An event.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct EntryRow {
    /// `conversation`, `flow`, `lead`, `template`, `template_group` or `appointment`.
    aggregate: String,
    /// The id of the conversation, flow, lead, template, template group or appointment.
    id: String,
    /// Its number in the stream, from 1.
    sequence: i64,
    /// Where it stands in the log; an opaque token that `at`, `from` and `to` take.
    position: String,
    /// Its own id.
    event_id: Uuid,
    /// What kind of thing happened, such as `conversation.message_received`.
    #[oai(rename = "type")]
    kind: String,
    /// The version of the payload's shape, as it was recorded.
    version: String,
    /// When the log took it in.
    at: Stamp,
    /// Who asked: `user:<id>`, `customer`, `channel`, `webhook` or `system`.
    actor: Option<String>,
    /// Shared by everything that one request or webhook led to.
    correlation_id: Option<String>,
    /// The one thing that directly led here: a journal row, an event, a job.
    causation_id: Option<String>,
    /// What happened, as it was recorded; what is left of it when the contact was erased.
    payload: Value,
    /// `true` when the contact was erased; absent otherwise.
    #[oai(skip_serializing_if = "is_false")]
    erased: Option<bool>,
    /// Why what it says of a person cannot be read though the contact was not erased; absent otherwise.
    #[oai(skip_serializing_if_is_none)]
    unreadable: Option<String>,
}

fn is_false(erased: &Option<bool>) -> bool {
    *erased != Some(true)
}

impl From<HistoryEntry> for EntryRow {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            aggregate: entry.aggregate,
            id: entry.id,
            sequence: entry.sequence,
            position: entry.position.to_string(),
            event_id: entry.event_id,
            kind: entry.event_type,
            version: entry.version,
            at: entry.at,
            actor: entry.actor,
            correlation_id: entry.correlation_id,
            causation_id: entry.causation_id,
            payload: serde_json::from_str(entry.payload.get()).unwrap_or_default(),
            erased: Some(entry.erased),
            unreadable: entry.unreadable.map(str::to_owned),
        }
    }
}

/// The events as lines.
///
/// # Errors
/// One is no JSON.
pub fn text(entries: &[HistoryEntry]) -> AppResult<Vec<u8>> {
    let bytes = entries.iter().map(|entry| entry.payload.get().len() + BESIDE_PAYLOAD_BYTES).sum();
    let mut text = Vec::with_capacity(bytes);
    for entry in entries {
        serde_json::to_writer(&mut text, entry).map_err(AppError::internal)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Events, in the form the client accepts.
#[derive(ResponseContent)]
pub enum Entries {
    /// A page.
    Page(Json<Vec<EntryRow>>),
    /// All of them, one a line.
    Lines(Ndjson<EntryRow>),
}

/// An answer about what happened.
#[derive(ApiResponse)]
pub enum Told {
    /// A page of events, or, for those who accept `application/x-ndjson`, all of them, one a line.
    #[oai(status = 200)]
    Events(
        Entries,
        /// The `cursor` of the next page; absent on the last one, and beside lines.
        #[oai(header = "X-Next-Cursor")]
        Option<String>,
        /// The next page's address, as `<…>; rel="next"`; absent on the last one, and beside lines.
        #[oai(header = "Link")]
        Option<String>,
    ),
}
