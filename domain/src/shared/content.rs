//! What we send, as every channel understands it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::ids::{TemplateGroupId, TemplateId};
use crate::shared::inbound::Location;

string_enum! {
    /// Kinds of media a message can carry.
    MediaType { Image = "image", Video = "video", Audio = "audio", Document = "document", Sticker = "sticker" }
}

/// A reply button: at most three, title ≤ 20 characters, id ≤ 256 (Meta, reply buttons).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Comes back when it is pressed.
    pub id: String,
    /// What the customer sees.
    pub title: String,
}

/// A row of a list message: title ≤ 24 characters, description ≤ 72, id ≤ 200 (Meta, list messages).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRow {
    /// Comes back when it is chosen.
    pub id: String,
    /// What the customer sees.
    pub title: String,
    /// A second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A section of a list message; all sections together hold at most ten rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSection {
    /// Title, ≤ 24 characters; required by Meta when there is more than one section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rows.
    pub rows: Vec<ListRow>,
}

/// An approved template with its parameters, by name and language; both are empty while one of a group, or one known
/// by its id, is still to be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateContent {
    /// The template's name at Meta.
    pub name: String,
    /// Language code, such as `he` or `en_US`.
    pub language: String,
    /// Body parameters in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<String>,
    /// The header's parameter: text, or the link of a media header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_param: Option<String>,
    /// Parameters of dynamic buttons, by button index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub button_params: Vec<String>,
    /// One of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<TemplateGroupId>,
    /// The one with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<TemplateId>,
}

/// The content of one outbound message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum OutboundContent {
    /// Plain text, ≤ 4096 characters on WhatsApp.
    Text {
        /// The text.
        text: String,
        /// Whether links are previewed.
        #[serde(default)]
        preview_url: bool,
    },
    /// A media file by link or by an id the channel knows.
    Media {
        /// Image, video, audio, document or sticker.
        media_type: MediaType,
        /// A public link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// An uploaded file's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upload_id: Option<String>,
        /// Caption (not for audio and stickers).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
        /// File name (documents).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
    },
    /// Up to three reply buttons.
    Buttons {
        /// Header text, ≤ 60 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// Body, ≤ 1024 characters.
        body: String,
        /// Footer, ≤ 60 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// The buttons.
        buttons: Vec<Button>,
    },
    /// A list of up to ten rows.
    List {
        /// Header text, ≤ 60 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
        /// Body, ≤ 4096 characters.
        body: String,
        /// Footer, ≤ 60 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        footer: Option<String>,
        /// The word on the button that opens the list, ≤ 20 characters.
        button: String,
        /// The sections.
        sections: Vec<ListSection>,
    },
    /// An approved template.
    Template(TemplateContent),
    /// A place.
    Location(Location),
    /// Contact cards, as the channel spells them.
    Contacts {
        /// The cards.
        contacts: Vec<Value>,
    },
    /// A reaction to a message; an empty emoji takes it back.
    Reaction {
        /// The provider id of the message reacted to.
        provider_message_id: String,
        /// The emoji.
        emoji: String,
    },
}

impl OutboundContent {
    /// The word for this kind of message in views and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Media { media_type, .. } => media_type.as_str(),
            Self::Buttons { .. } => "buttons",
            Self::List { .. } => "list",
            Self::Template(_) => "template",
            Self::Location(_) => "location",
            Self::Contacts { .. } => "contacts",
            Self::Reaction { .. } => "reaction",
        }
    }

    /// What a person reads of it in a transcript.
    pub fn preview(&self) -> Option<String> {
        match self {
            Self::Text { text, .. } => Some(text.clone()),
            Self::Media { caption, filename, .. } => caption.clone().or_else(|| filename.clone()),
            Self::Buttons { body, .. } | Self::List { body, .. } => Some(body.clone()),
            Self::Template(template) => Some(template.name.clone()),
            Self::Location(place) => place.name.clone().or_else(|| place.address.clone()),
            Self::Contacts { .. } => None,
            Self::Reaction { emoji, .. } => Some(emoji.clone()),
        }
    }

    /// The same kind of message with nothing said in it; a template keeps its name and language.
    #[must_use]
    pub fn without_words(&self) -> Self {
        match self {
            Self::Text { preview_url, .. } => Self::Text { text: String::new(), preview_url: *preview_url },
            Self::Media { media_type, .. } => {
                Self::Media { media_type: *media_type, url: None, upload_id: None, caption: None, filename: None }
            }
            Self::Buttons { .. } => {
                Self::Buttons { header: None, body: String::new(), footer: None, buttons: Vec::new() }
            }
            Self::List { .. } => {
                let (body, button) = (String::new(), String::new());
                Self::List { header: None, body, footer: None, button, sections: Vec::new() }
            }
            Self::Template(template) => Self::Template(TemplateContent {
                name: template.name.clone(),
                language: template.language.clone(),
                group_id: template.group_id,
                template_id: template.template_id,
                ..TemplateContent::default()
            }),
            Self::Location(_) => Self::Location(Location::default()),
            Self::Contacts { .. } => Self::Contacts { contacts: Vec::new() },
            Self::Reaction { .. } => Self::Reaction { provider_message_id: String::new(), emoji: String::new() },
        }
    }

    /// Whether it may be sent outside the service window.
    pub const fn needs_no_window(&self) -> bool {
        matches!(self, Self::Template(_))
    }
}
