//! What is shown of bulk sends.

use domain::shared::ids::{BulkSendId, FlowId};
use uuid::Uuid;

use crate::time::Stamp;

/// Somebody who is not sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct SkippedView {
    /// The phone, as it was named.
    pub phone: String,
    /// `duplicate`, `invalid_phone`, `already_sent` or `opted_out`.
    pub reason: String,
}

/// A bulk send that was queued.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct BulkSendMade {
    /// Its id.
    pub bulk_send_id: BulkSendId,
    /// The line it goes out on.
    pub phone_number_id: String,
    /// How many are sent to.
    pub queued: u64,
    /// Who is not, and why.
    pub skipped: Vec<SkippedView>,
}

/// How far a bulk send is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct BulkSendView {
    /// Its id.
    pub id: BulkSendId,
    /// `running`, `completed` (every recipient was handed over or skipped) or `cancelled`.
    pub status: String,
    /// The line it goes out on.
    pub phone_number_id: String,
    /// The group whose templates are sent.
    pub template_group_id: Option<Uuid>,
    /// The template that is sent.
    pub template_id: Option<Uuid>,
    /// The name of the template that is sent.
    pub template_name: Option<String>,
    /// The flow answers go on in.
    pub flow_id: Option<FlowId>,
    /// Everybody it was made for, but for those named twice or without a phone number.
    pub total: u64,
    /// Who still waits.
    pub waiting: u64,
    /// Who was skipped.
    pub skipped: u64,
    /// Messages handed over that the channel has not taken yet.
    pub queued: u64,
    /// Messages the channel took.
    pub sent: u64,
    /// Messages that reached a device.
    pub delivered: u64,
    /// Messages that were read.
    pub read: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages that may have gone out twice.
    pub doubtful: u64,
    /// When it was made.
    pub created_at: Stamp,
    /// When it was completed or cancelled.
    pub ended_at: Option<Stamp>,
}

/// Which recipients are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecipientFilter {
    /// In this state: 0 waiting, 2 handed over, 3 skipped.
    pub state: Option<i16>,
}

/// Somebody a bulk send is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct RecipientView {
    /// The phone; empty when the contact was erased.
    pub phone: String,
    /// `waiting`, `skipped`, or how far the message is: `queued`, `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// Why it was skipped: `already_sent`, `opted_out`, `claimed`, `template_unavailable`, `cancelled`, `refused`.
    pub reason: Option<String>,
    /// The same in words.
    pub details: Option<String>,
    /// The message.
    pub message_id: Option<Uuid>,
    /// The conversation it is in.
    pub conversation_id: Option<Uuid>,
    /// The template it went out with.
    pub template_name: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it may have gone out twice.
    pub possible_duplicate: bool,
}
