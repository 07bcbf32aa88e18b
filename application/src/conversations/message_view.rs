//! What is shown of messages.

use domain::conversation::Conversation;
use domain::conversation::event::{Author, ConversationEvent};
use domain::conversation::template_choice::TemplateChoice;
use domain::shared::content::OutboundContent;
use domain::shared::delivery::DeliveryStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::log::{Document, Recorded};
use crate::time::Stamp;

/// When a message reached each status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
#[cfg_attr(feature = "openapi", oai(rename_all = "camelCase", skip_serializing_if_is_none))]
pub struct StatusTimes {
    /// Queued by us.
    pub queued: Option<Stamp>,
    /// Accepted by the channel.
    pub sent: Option<Stamp>,
    /// Reached the customer.
    pub delivered: Option<Stamp>,
    /// Read by the customer.
    pub read: Option<Stamp>,
    /// Failed.
    pub failed: Option<Stamp>,
}

/// Why a message did not go out or arrive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MessageError {
    /// The channel's code; 0 when we held the message back.
    pub code: i64,
    /// `transient`, `recipient`, `recipient_conditional`, `template`, `sender`, `request`, or why we held it back.
    pub class: String,
    /// In words.
    pub title: String,
    /// The channel's details.
    pub details: Option<String>,
}

/// A template that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct LookedAt {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Why it was passed over; absent for the one that was taken.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub passed_over: Option<String>,
}

/// A decision about a message's template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct Decision {
    /// When.
    pub at: Stamp,
    /// For which try: 0 for the first.
    pub retry: u32,
    /// The code the channel refused the template before with.
    pub refused_with: Option<i64>,
    /// `preferred_then_others`, `round_robin` or `random`, where a group picked.
    pub strategy: Option<String>,
    /// What was looked at, in that order.
    pub considered: Vec<LookedAt>,
    /// The template that was taken; absent when none could be.
    pub chosen: Option<String>,
}

impl Decision {
    fn of(retry: u32, choice: &TemplateChoice, refused_with: Option<i64>, at: Stamp) -> Self {
        let considered = choice.considered.iter().map(|it| LookedAt {
            name: it.member.name.clone(),
            language: it.member.language.clone(),
            passed_over: it.passed_over.as_ref().map(ToString::to_string),
        });
        Self {
            at,
            retry,
            refused_with,
            strategy: choice.draw.map(|draw| draw.strategy.to_string()),
            considered: considered.collect(),
            chosen: choice.chosen.as_ref().map(|it| it.name.clone()),
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct MessageView {
    /// Its id.
    pub id: Uuid,
    /// The conversation it belongs to.
    pub conversation_id: Uuid,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `text`, `image`, `buttons`, `list`, `template`, `choice`, `location`, …
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub kind: String,
    /// Its text, caption, chosen title or template name.
    pub text: Option<String>,
    /// Media, place, buttons, or whatever else it carries.
    pub media: Option<Value>,
    /// `received` for inbound; `queued`, `sent`, `delivered`, `read` or `failed` for outbound.
    pub status: String,
    /// When it reached each status.
    pub status_at: StatusTimes,
    /// The channel's id, such as a wamid.
    pub provider_message_id: Option<String>,
    /// `customer`, `flow`, `user` or `system`.
    pub author: String,
    /// The person who wrote it.
    #[serde(default)]
    pub user_id: Option<Uuid>,
    /// The run that wrote it.
    pub run_id: Option<Uuid>,
    /// When it came in or was queued.
    pub at: Stamp,
    /// Why it failed.
    pub error: Option<MessageError>,
    /// True when it may have gone out twice: the first try stayed in doubt.
    pub possible_duplicate: bool,
    /// How often it was sent again, by a person's wish or with another template.
    #[serde(default)]
    pub retries: u32,
    /// The bulk send it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub bulk_send_id: Option<Uuid>,
    /// Which templates were looked at for it, what spoke against them, and which was taken: one entry a decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Decision>,
    /// Its place in the conversation.
    pub ordinal: i64,
}

impl Document for MessageView {
    const NAME: &'static str = "message_view";
    type Aggregate = Conversation;
    const READS: &'static [&'static str] = &[
        "conversation.message_received",
        "conversation.message_queued",
        "conversation.message_held_back",
        "conversation.template_chosen",
        "conversation.message_sent",
        "conversation.message_delivered",
        "conversation.message_read",
        "conversation.message_failed",
        "conversation.message_retried",
    ];

    fn key(recorded: &Recorded<ConversationEvent>) -> Option<String> {
        match &recorded.event {
            ConversationEvent::MessageReceived { message_id, .. }
            | ConversationEvent::MessageQueued { message_id, .. }
            | ConversationEvent::MessageHeldBack { message_id, .. }
            | ConversationEvent::TemplateChosen { message_id, .. }
            | ConversationEvent::MessageSent { message_id, .. }
            | ConversationEvent::MessageDelivered { message_id, .. }
            | ConversationEvent::MessageRead { message_id, .. }
            | ConversationEvent::MessageFailed { message_id, .. }
            | ConversationEvent::MessageRetried { message_id, .. } => Some(message_id.to_string()),
            ConversationEvent::Started { .. }
            | ConversationEvent::ContactChanged { .. }
            | ConversationEvent::MessageFailedLate { .. }
            | ConversationEvent::FlowRunStarted { .. }
            | ConversationEvent::FlowRunStepped { .. }
            | ConversationEvent::FlowRunWaiting { .. }
            | ConversationEvent::FlowRunEnded { .. }
            | ConversationEvent::LeadUpdateRequested { .. }
            | ConversationEvent::HandoffRequested { .. }
            | ConversationEvent::Claimed { .. }
            | ConversationEvent::Released { .. }
            | ConversationEvent::Closed { .. }
            | ConversationEvent::Reopened { .. }
            | ConversationEvent::ContactErased { .. } => None,
        }
    }

    fn apply(&mut self, recorded: &Recorded<ConversationEvent>) -> bool {
        match &recorded.event {
            ConversationEvent::MessageReceived { message_id, message, .. } => {
                self.begin(recorded, message_id.0, Author::Customer);
                self.kind = message.kind.to_string();
                self.text.clone_from(&message.text);
                self.media =
                    message.media.as_ref().map(|media| json!(media)).or_else(|| {
                        message.location.as_ref().map(|place| json!(place)).or_else(|| message.raw.clone())
                    });
                self.status = "received".to_owned();
                self.provider_message_id = Some(message.provider_message_id.clone()).filter(|id| !id.is_empty());
                self.at = Stamp(message.sent_at);
            }
            ConversationEvent::MessageQueued {
                message_id, author, user_id, run_id, bulk_send_id, content, at, ..
            } => {
                self.begin(recorded, message_id.0, *author);
                self.show(content);
                self.user_id = user_id.map(|user| user.0);
                self.run_id = run_id.map(|run| run.0);
                self.bulk_send_id = bulk_send_id.map(|bulk| bulk.0);
                self.at = Stamp(*at);
                self.reach(DeliveryStatus::Queued, Stamp(*at));
            }
            ConversationEvent::MessageHeldBack { message_id, run_id, content, reason, at } => {
                self.begin(recorded, message_id.0, Author::Flow);
                self.show(content);
                self.run_id = Some(run_id.0);
                self.at = Stamp(*at);
                self.reach(DeliveryStatus::Failed, Stamp(*at));
                let title = "held back: it was not sent".to_owned();
                self.error = Some(MessageError { code: 0, class: reason.to_string(), title, details: None });
            }
            ConversationEvent::MessageSent { provider_message_id, possible_duplicate, at, .. } => {
                self.provider_message_id = Some(provider_message_id.clone()).filter(|id| !id.is_empty());
                self.possible_duplicate = *possible_duplicate;
                self.reach(DeliveryStatus::Sent, Stamp(*at));
            }
            ConversationEvent::MessageDelivered { at, .. } => self.reach(DeliveryStatus::Delivered, Stamp(*at)),
            ConversationEvent::MessageRead { at, .. } => self.reach(DeliveryStatus::Read, Stamp(*at)),
            ConversationEvent::MessageFailed { error, at, .. } => {
                self.reach(DeliveryStatus::Failed, Stamp(*at));
                self.error = Some(MessageError {
                    code: error.code,
                    class: error.class.to_string(),
                    title: error.title.clone(),
                    details: error.details.clone(),
                });
            }
            ConversationEvent::TemplateChosen { retry, choice, refusal, at, .. } => {
                self.why.push(Decision::of(*retry, choice, *refusal, Stamp(*at)));
            }
            // A new try: what became of the one before is in the history.
            ConversationEvent::MessageRetried { retry, content, at, .. } => {
                self.show(content);
                self.status = DeliveryStatus::Queued.to_string();
                self.status_at = StatusTimes { queued: Some(Stamp(*at)), ..StatusTimes::default() };
                (self.error, self.provider_message_id, self.retries) = (None, None, *retry);
            }
            _ => {}
        }
        true
    }
}

impl MessageView {
    fn begin(&mut self, recorded: &Recorded<ConversationEvent>, id: Uuid, author: Author) {
        (self.id, self.conversation_id) = (id, recorded.stream.id);
        self.author = author.to_string();
        self.direction = if author == Author::Customer { "inbound" } else { "outbound" }.to_owned();
        self.ordinal = recorded.sequence;
    }

    fn show(&mut self, content: &OutboundContent) {
        self.kind = content.kind().to_owned();
        self.text = content.preview().filter(|text| !text.is_empty());
        self.media = match content {
            OutboundContent::Text { .. } | OutboundContent::Reaction { .. } => None,
            OutboundContent::Media { .. }
            | OutboundContent::Buttons { .. }
            | OutboundContent::List { .. }
            | OutboundContent::Template(_)
            | OutboundContent::Location(_)
            | OutboundContent::Contacts { .. } => serde_json::to_value(content).ok(),
        };
    }

    fn reach(&mut self, status: DeliveryStatus, at: Stamp) {
        let so_far = DeliveryStatus::from_word(&self.status).unwrap_or(DeliveryStatus::Queued);
        self.status = so_far.join(status).to_string();
        let times = &mut self.status_at;
        let slot = match status {
            DeliveryStatus::Queued => &mut times.queued,
            DeliveryStatus::Sent => &mut times.sent,
            DeliveryStatus::Delivered => &mut times.delivered,
            DeliveryStatus::Read => &mut times.read,
            DeliveryStatus::Failed => &mut times.failed,
        };
        slot.get_or_insert(at);
    }
}
