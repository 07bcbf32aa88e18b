//! What a person sends, read from one flat body.

use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::content::{Button, ListRow, ListSection, MediaType, OutboundContent, TemplateContent};
use domain::shared::inbound::Location;
use domain::shared::reason::Reason;
use poem_openapi::{Enum, Object};
use serde_json::Value;

use crate::error::ApiError;

/// What kind of message.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "lowercase")]
pub enum MessageType {
    Text,
    Image,
    Video,
    Audio,
    Document,
    Sticker,
    Template,
    Location,
    Contacts,
    Reaction,
    Buttons,
    List,
}

/// A reply button.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct ReplyButton {
    /// Comes back when it is pressed.
    #[oai(validator(min_length = 1, max_length = 256))]
    id: String,
    /// What the customer sees.
    #[oai(validator(min_length = 1, max_length = 20))]
    title: String,
}

/// A row of a list.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct ReplyRow {
    /// Comes back when it is chosen.
    #[oai(validator(min_length = 1, max_length = 200))]
    id: String,
    /// What the customer sees.
    #[oai(validator(min_length = 1, max_length = 24))]
    title: String,
    /// A second line.
    #[oai(validator(max_length = 72))]
    description: Option<String>,
}

/// A section of a list.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct ReplySection {
    /// Its title; needed when there are several.
    #[oai(validator(max_length = 24))]
    title: Option<String>,
    /// Its rows.
    #[oai(validator(min_items = 1, max_items = 10))]
    rows: Vec<ReplyRow>,
}

/// A message to the customer. `messageType` says which of the other fields count.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplyRequest {
    /// What kind of message.
    message_type: MessageType,
    /// The text of a `text`; the body of `buttons` and `list`.
    #[oai(validator(min_length = 1, max_length = 4096))]
    text: Option<String>,
    /// `text`: whether links are previewed.
    #[oai(default)]
    preview_url: bool,
    /// Media: a public link.
    #[oai(validator(max_length = 2048))]
    media_url: Option<String>,
    /// Media: the id of a file uploaded to the channel, in place of the link.
    #[oai(validator(max_length = 200))]
    media_id: Option<String>,
    /// Media: a caption; not for audio and stickers.
    #[oai(validator(max_length = 1024))]
    caption: Option<String>,
    /// `document`: the file's name.
    #[oai(validator(max_length = 240))]
    filename: Option<String>,
    /// `template`: its name.
    #[oai(validator(min_length = 1, max_length = 512))]
    template_name: Option<String>,
    /// `template`: its language; `en` when absent.
    #[oai(validator(min_length = 2, max_length = 15))]
    template_language: Option<String>,
    /// `template`: the parameters of its body, in order.
    #[oai(default, validator(max_items = 100))]
    template_params: Vec<String>,
    /// `template`: the parameter of its header: a text, or a media link.
    #[oai(validator(max_length = 2048))]
    header_param: Option<String>,
    /// `template`: the parameters of its dynamic buttons, in order.
    #[oai(default, validator(max_items = 10))]
    button_params: Vec<String>,
    /// `location`: degrees north.
    #[oai(validator(minimum(value = "-90"), maximum(value = "90")))]
    latitude: Option<f64>,
    /// `location`: degrees east.
    #[oai(validator(minimum(value = "-180"), maximum(value = "180")))]
    longitude: Option<f64>,
    /// `location`: the place's name.
    #[oai(validator(max_length = 1000))]
    name: Option<String>,
    /// `location`: the place's address.
    #[oai(validator(max_length = 1000))]
    address: Option<String>,
    /// `contacts`: the cards, as the channel spells them.
    #[oai(validator(min_items = 1, max_items = 100))]
    contacts: Option<Vec<Value>>,
    /// `reaction`: the channel's id of the message reacted to.
    #[oai(validator(min_length = 1, max_length = 512))]
    reply_to_message_id: Option<String>,
    /// `reaction`: the emoji; an empty one takes the reaction back.
    #[oai(validator(max_length = 32))]
    emoji: Option<String>,
    /// `buttons`, `list`: a header.
    #[oai(validator(max_length = 60))]
    header: Option<String>,
    /// `buttons`, `list`: a footer.
    #[oai(validator(max_length = 60))]
    footer: Option<String>,
    /// `buttons`: one to three.
    #[oai(validator(min_items = 1, max_items = 3))]
    buttons: Option<Vec<ReplyButton>>,
    /// `list`: the word on the button that opens it.
    #[oai(validator(min_length = 1, max_length = 20))]
    button_text: Option<String>,
    /// `list`: its sections, at most ten rows in all.
    #[oai(validator(min_items = 1, max_items = 10))]
    sections: Option<Vec<ReplySection>>,
}

impl ReplyRequest {
    /// The message.
    ///
    /// # Errors
    /// A field that this kind of message needs is missing.
    pub fn content(self) -> Result<OutboundContent, ApiError> {
        match self.message_type {
            MessageType::Text => {
                Ok(OutboundContent::Text { text: needed("text", self.text)?, preview_url: self.preview_url })
            }
            MessageType::Image => self.media(MediaType::Image),
            MessageType::Video => self.media(MediaType::Video),
            MessageType::Audio => self.media(MediaType::Audio),
            MessageType::Document => self.media(MediaType::Document),
            MessageType::Sticker => self.media(MediaType::Sticker),
            MessageType::Template => self.template(),
            MessageType::Location => self.location(),
            MessageType::Contacts => Ok(OutboundContent::Contacts { contacts: needed("contacts", self.contacts)? }),
            MessageType::Reaction => Ok(OutboundContent::Reaction {
                provider_message_id: needed("replyToMessageId", self.reply_to_message_id)?,
                emoji: needed("emoji", self.emoji)?,
            }),
            MessageType::Buttons => self.buttons(),
            MessageType::List => self.list(),
        }
    }

    fn media(self, media_type: MediaType) -> Result<OutboundContent, ApiError> {
        match &self.media_url {
            Some(url) if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) => {
                return Err(refused("mediaUrl", reason!("not_a_link", "must be an http(s) link")));
            }
            Some(_) => {}
            None => drop(needed("mediaUrl", self.media_id.as_ref())?),
        }
        Ok(OutboundContent::Media {
            media_type,
            url: self.media_url,
            upload_id: self.media_id,
            caption: self.caption,
            filename: self.filename,
        })
    }

    fn template(self) -> Result<OutboundContent, ApiError> {
        Ok(OutboundContent::Template(TemplateContent {
            name: needed("templateName", self.template_name)?,
            language: self.template_language.unwrap_or_else(|| "en".to_owned()),
            params: self.template_params,
            header_param: self.header_param,
            button_params: self.button_params,
            group_id: None,
            template_id: None,
        }))
    }

    fn location(self) -> Result<OutboundContent, ApiError> {
        let latitude = needed("latitude", self.latitude)?;
        let longitude = needed("longitude", self.longitude)?;
        Ok(OutboundContent::Location(Location { latitude, longitude, name: self.name, address: self.address }))
    }

    fn buttons(self) -> Result<OutboundContent, ApiError> {
        let buttons = needed("buttons", self.buttons)?;
        Ok(OutboundContent::Buttons {
            header: self.header,
            body: needed("text", self.text)?,
            footer: self.footer,
            buttons: buttons.into_iter().map(|it| Button { id: it.id, title: it.title }).collect(),
        })
    }

    fn list(self) -> Result<OutboundContent, ApiError> {
        let sections = needed("sections", self.sections)?;
        let row = |it: ReplyRow| ListRow { id: it.id, title: it.title, description: it.description };
        let section = |it: ReplySection| ListSection { title: it.title, rows: it.rows.into_iter().map(row).collect() };
        Ok(OutboundContent::List {
            header: self.header,
            body: needed("text", self.text)?,
            footer: self.footer,
            button: needed("buttonText", self.button_text)?,
            sections: sections.into_iter().map(section).collect(),
        })
    }
}

fn needed<T>(field: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| refused(field, reason!("required_for_message_type", "is required for this messageType")))
}

fn refused(field: &str, reason: Reason) -> ApiError {
    let mut refusal = ApiError::invalid("invalid_request", format!("`{field}` {reason}"));
    refusal.body.problems = Some(vec![Problem::of_field(field, reason)]);
    refusal
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ParseFromJSON;
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<OutboundContent, String> {
        let request =
            ReplyRequest::parse_from_json(Some(body)).map_err(poem_openapi::types::ParseError::into_message)?;
        request.content().map_err(|refusal| refusal.body.error)
    }

    #[test]
    fn the_documented_messages_are_read() {
        let text = read(json!({"messageType": "text", "text": "Hello"})).unwrap();
        assert_eq!(text, OutboundContent::Text { text: "Hello".into(), preview_url: false });
        for (body, kind) in [
            (json!({"messageType": "image", "mediaUrl": "https://x.example/a.jpg", "caption": "Here"}), "image"),
            (
                json!({"messageType": "template", "templateName": "order_update", "templateLanguage": "en",
                    "templateParams": ["ORD-12345", "Shipped"]}),
                "template",
            ),
            (json!({"messageType": "location", "latitude": 32.1, "longitude": 34.8}), "location"),
            (json!({"messageType": "reaction", "replyToMessageId": "wamid.1", "emoji": ""}), "reaction"),
            (json!({"messageType": "buttons", "text": "Well?", "buttons": [{"id": "y", "title": "Yes"}]}), "buttons"),
            (
                json!({"messageType": "list", "text": "Which?", "buttonText": "Choose",
                    "sections": [{"rows": [{"id": "1", "title": "One"}]}]}),
                "list",
            ),
        ] {
            assert_eq!(read(body).unwrap().kind(), kind);
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (body, name) in [
            (json!({"messageType": "text"}), "text"),
            (json!({"messageType": "image"}), "mediaUrl"),
            (json!({"messageType": "image", "mediaUrl": "/etc/passwd"}), "mediaUrl"),
            (json!({"messageType": "template"}), "templateName"),
            (json!({"messageType": "text", "text": "x", "colour": "red"}), "colour"),
            (json!({"messageType": "text", "text": ""}), "text"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
