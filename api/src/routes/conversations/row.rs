//! Conversations as they are asked for and shown.

use std::borrow::Cow;

use application::conversations::Details;
use application::conversations::message_view::MessageView;
use application::conversations::views::ConversationView;
use application::time::Stamp;
use domain::conversation::command::Handling;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde_json::Value;

/// Where a conversation stands.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
pub enum ConversationStatus {
    /// A flow or nobody has it.
    Active,
    /// A flow asked for a person.
    Handoff,
    /// A person has it.
    Claimed,
    /// It is done.
    Closed,
}

impl ConversationStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Handoff => "handoff",
            Self::Claimed => "claimed",
            Self::Closed => "closed",
        }
    }
}

/// What is done with a conversation.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
pub enum HandlingAction {
    /// Take it over.
    Claim,
    /// Give it back.
    Release,
    /// Call it done.
    Close,
    /// Take it up again.
    Reopen,
}

impl From<HandlingAction> for Handling {
    fn from(action: HandlingAction) -> Self {
        match action {
            HandlingAction::Claim => Self::Claim,
            HandlingAction::Release => Self::Release,
            HandlingAction::Close => Self::Close,
            HandlingAction::Reopen => Self::Reopen,
        }
    }
}

/// What a person does with a conversation.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct HandlingRequest {
    /// What.
    pub action: HandlingAction,
    /// The `version` the person saw; another one by now is a conflict.
    pub expected_version: Option<u32>,
}

/// A conversation with its messages.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ConversationDetails {
    /// The conversation.
    #[oai(flatten)]
    row: ConversationView,
    /// Whether anything but a template may be sent now.
    window_open: bool,
    /// When that ends; absent when the customer never wrote.
    window_closes_at: Option<Stamp>,
    /// A page of its messages, oldest first.
    messages: Vec<MessageView>,
}

impl From<Details> for ConversationDetails {
    fn from(details: Details) -> Self {
        let Details { row, window_open, window_closes_at, messages } = details;
        Self { row, window_open, window_closes_at, messages: messages.rows }
    }
}

/// A conversation in a list: without its run, and with counts only on request.
#[derive(Debug)]
pub struct ConversationRow(ConversationView);

impl ConversationRow {
    /// The row of a conversation.
    pub fn of(mut view: ConversationView, with_stats: bool) -> Self {
        view.flow_run = None;
        view.stats = view.stats.filter(|_| with_stats);
        Self(view)
    }
}

impl Type for ConversationRow {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        ConversationView::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        ConversationView::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ConversationView::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for ConversationRow {
    fn to_json(&self) -> Option<Value> {
        let mut shown = self.0.to_json()?;
        if let Value::Object(members) = &mut shown {
            members.retain(|name, value| !(value.is_null() && matches!(name.as_str(), "stats" | "flowRun")));
        }
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use application::conversations::views::{FlowRunView, MessageCounts};

    use super::*;

    #[test]
    fn rows_carry_no_run_and_counts_only_on_request() {
        let view = ConversationView {
            stats: Some(MessageCounts::default()),
            flow_run: Some(FlowRunView::default()),
            ..ConversationView::default()
        };
        let names = |stats| match ConversationRow::of(view.clone(), stats).to_json() {
            Some(Value::Object(members)) => ["stats", "flowRun", "claimedBy"].map(|name| members.contains_key(name)),
            _ => [false; 3],
        };
        assert_eq!(names(false), [false, false, true]);
        assert_eq!(names(true), [true, false, true]);
    }

    #[test]
    fn statuses_are_those_of_the_view() {
        let words = [
            ConversationStatus::Active,
            ConversationStatus::Handoff,
            ConversationStatus::Claimed,
            ConversationStatus::Closed,
        ];
        assert_eq!(words.map(ConversationStatus::as_str), application::conversations::views::STATUSES);
    }
}
