//! The body of `POST /{phone-number-id}/messages` for each kind of content (Meta, messages/send-messages
//! and the pages of the message types).

use domain::shared::channel::Address;
use domain::shared::content::{Button, MediaType, OutboundContent, TemplateContent};
use serde_json::{Map, Value, json};

/// The whole body; `None` if the address names no one. A number is written with its `+`: without it Meta
/// puts the business's own country code in front.
pub(super) fn message(to: &Address, content: &OutboundContent, correlation: &str) -> Option<Value> {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "biz_opaque_callback_data": correlation,
    });
    match (&to.phone, &to.user_id) {
        (Some(phone), _) => body["to"] = json!(phone.as_str()),
        (None, Some(user_id)) => body["recipient"] = json!(user_id),
        (None, None) => return None,
    }
    let (kind, object) = of_content(content);
    body["type"] = json!(kind);
    body[kind] = object;
    Some(body)
}

/// Marks a message as read; with `typing` the customer sees that an answer is coming, for up to 25 seconds.
pub(super) fn read(provider_message_id: &str, typing: bool) -> Value {
    let mut body = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": provider_message_id });
    if typing {
        body["typing_indicator"] = json!({ "type": "text" });
    }
    body
}

/// The word in `type` and the object under that word.
fn of_content(content: &OutboundContent) -> (&'static str, Value) {
    match content {
        OutboundContent::Text { text, preview_url } => ("text", json!({ "body": text, "preview_url": preview_url })),
        OutboundContent::Media { media_type, url, upload_id, caption, filename } => {
            let file = Media { url, upload_id, caption, filename };
            (media_type.as_str(), media(*media_type, &file))
        }
        OutboundContent::Buttons { header, body, footer, buttons } => {
            let action = json!({ "buttons": buttons.iter().map(button).collect::<Vec<_>>() });
            ("interactive", interactive("button", header.as_deref(), body, footer.as_deref(), action))
        }
        OutboundContent::List { header, body, footer, button, sections } => {
            let action = json!({ "button": button, "sections": sections });
            ("interactive", interactive("list", header.as_deref(), body, footer.as_deref(), action))
        }
        OutboundContent::Template(template) => ("template", of_template(template)),
        OutboundContent::Location(place) => ("location", json!(place)),
        OutboundContent::Contacts { contacts } => ("contacts", json!(contacts)),
        OutboundContent::Reaction { provider_message_id, emoji } => {
            ("reaction", json!({ "message_id": provider_message_id, "emoji": emoji }))
        }
    }
}

struct Media<'a> {
    url: &'a Option<String>,
    upload_id: &'a Option<String>,
    caption: &'a Option<String>,
    filename: &'a Option<String>,
}

/// Media by an id of Meta's, else by link. Audio and stickers carry no caption, only documents a name.
fn media(kind: MediaType, file: &Media<'_>) -> Value {
    let (caption, filename) = match kind {
        MediaType::Image | MediaType::Video => (file.caption.as_ref(), None),
        MediaType::Document => (file.caption.as_ref(), file.filename.as_ref()),
        MediaType::Audio | MediaType::Sticker => (None, None),
    };
    let (id, link) = if file.upload_id.is_some() { (file.upload_id.as_ref(), None) } else { (None, file.url.as_ref()) };
    present([("id", id), ("link", link), ("caption", caption), ("filename", filename)])
}

fn interactive(kind: &str, header: Option<&str>, body: &str, footer: Option<&str>, action: Value) -> Value {
    let mut object = json!({ "type": kind, "body": { "text": body }, "action": action });
    if let Some(text) = header {
        object["header"] = json!({ "type": "text", "text": text });
    }
    if let Some(text) = footer {
        object["footer"] = json!({ "text": text });
    }
    object
}

fn button(button: &Button) -> Value {
    json!({ "type": "reply", "reply": { "id": button.id, "title": button.title } })
}

fn of_template(template: &TemplateContent) -> Value {
    let mut components = Vec::new();
    if let Some(param) = &template.header_param {
        components.push(json!({ "type": "header", "parameters": [header(param)] }));
    }
    if !template.params.is_empty() {
        let parameters: Vec<_> = template.params.iter().map(|param| text(param)).collect();
        components.push(json!({ "type": "body", "parameters": parameters }));
    }
    let dynamic = template.button_params.iter().enumerate().filter(|(_, param)| !param.is_empty());
    components.extend(dynamic.map(|(index, param)| {
        json!({ "type": "button", "sub_type": "url", "index": index.to_string(), "parameters": [text(param)] })
    }));
    let mut object = json!({ "name": template.name, "language": { "code": template.language } });
    if !components.is_empty() {
        object["components"] = json!(components);
    }
    object
}

/// A header's parameter: a link is a media file, told by its ending (an image if nothing tells), the rest text.
fn header(param: &str) -> Value {
    if !(param.starts_with("https://") || param.starts_with("http://")) {
        return text(param);
    }
    let path = param.split(['?', '#']).next().unwrap_or(param).to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    let kind = if ends(&[".mp4", ".3gp", ".3gpp"]) {
        "video"
    } else if ends(&[".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".txt"]) {
        "document"
    } else {
        "image"
    };
    json!({ "type": kind, kind: { "link": param } })
}

fn text(param: &str) -> Value {
    json!({ "type": "text", "text": param })
}

fn present<const N: usize>(members: [(&str, Option<&String>); N]) -> Value {
    let there = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?))));
    Value::Object(Map::from_iter(there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::shared::content::{ListRow, ListSection};
    use domain::shared::inbound::Location;
    use domain::shared::phone::Phone;

    fn customer() -> Address {
        Address { phone: Phone::from_wa_id("972501234567"), user_id: Some("IL.9".into()) }
    }

    /// The object under `type`, after checking everything around it.
    fn object(content: &OutboundContent) -> (String, Value) {
        let Some(Value::Object(mut body)) = message(&customer(), content, "c-1") else { panic!("no body") };
        let kind = body.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).expect("a type");
        let object = body.remove(&kind).expect("the type's object");
        assert_eq!(
            Value::Object(body),
            json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+972501234567",
                "biz_opaque_callback_data": "c-1" })
        );
        (kind, object)
    }

    #[test]
    fn a_customer_without_a_number_is_addressed_by_user_id_and_no_one_not_at_all() {
        let text = OutboundContent::Text { text: "שלום".into(), preview_url: true };
        let by_id = Address { phone: None, user_id: Some("IL.9".into()) };
        let body = message(&by_id, &text, "c-1").expect("a body");
        assert_eq!((&body["recipient"], body.get("to")), (&json!("IL.9"), None));
        assert_eq!(message(&Address::default(), &text, "c-1"), None);
        assert_eq!(object(&text), ("text".into(), json!({ "body": "שלום", "preview_url": true })));
    }

    #[test]
    fn media_by_id_or_link_with_what_its_kind_allows() {
        let file = |media_type, url: Option<&str>, upload_id: Option<&str>| OutboundContent::Media {
            media_type,
            url: url.map(Into::into),
            upload_id: upload_id.map(Into::into),
            caption: Some("price list".into()),
            filename: Some("prices.pdf".into()),
        };
        let link = "https://files.example/prices.pdf";
        assert_eq!(
            object(&file(MediaType::Document, Some(link), None)),
            ("document".into(), json!({ "link": link, "caption": "price list", "filename": "prices.pdf" }))
        );
        assert_eq!(
            object(&file(MediaType::Image, Some(link), Some("991"))),
            ("image".into(), json!({ "id": "991", "caption": "price list" }))
        );
        for kind in [MediaType::Audio, MediaType::Sticker] {
            assert_eq!(object(&file(kind, None, Some("991"))).1, json!({ "id": "991" }));
        }
    }

    #[test]
    fn buttons_and_lists_are_interactive() {
        let buttons = OutboundContent::Buttons {
            header: None,
            body: "Shall we book?".into(),
            footer: Some("Reply any time".into()),
            buttons: vec![Button { id: "yes".into(), title: "Yes".into() }],
        };
        assert_eq!(
            object(&buttons),
            (
                "interactive".into(),
                json!({ "type": "button", "body": { "text": "Shall we book?" },
                "footer": { "text": "Reply any time" },
                "action": { "buttons": [{ "type": "reply", "reply": { "id": "yes", "title": "Yes" } }] } })
            )
        );
        let row = |id: &str, description: Option<&str>| ListRow {
            id: id.into(),
            title: id.into(),
            description: description.map(Into::into),
        };
        let list = OutboundContent::List {
            header: Some("Branches".into()),
            body: "Where?".into(),
            footer: None,
            button: "Choose".into(),
            sections: vec![ListSection {
                title: Some("North".into()),
                rows: vec![row("haifa", Some("port")), row("acre", None)],
            }],
        };
        assert_eq!(
            object(&list),
            (
                "interactive".into(),
                json!({ "type": "list", "header": { "type": "text", "text": "Branches" },
                "body": { "text": "Where?" }, "action": { "button": "Choose", "sections": [{ "title": "North",
                "rows": [{ "id": "haifa", "title": "haifa", "description": "port" }, { "id": "acre", "title": "acre" }] }] } })
            )
        );
    }

    #[test]
    fn a_template_has_the_components_its_parameters_need() {
        let full = TemplateContent {
            name: "order_ready".into(),
            language: "he".into(),
            params: vec!["Noa".into(), "17:00".into()],
            header_param: Some("https://files.example/clip.mp4?v=2".into()),
            button_params: vec![String::new(), "track/8".into()],
            group_id: None,
            template_id: None,
        };
        assert_eq!(
            object(&OutboundContent::Template(full.clone())),
            (
                "template".into(),
                json!({ "name": "order_ready", "language": { "code": "he" }, "components": [
                { "type": "header", "parameters": [{ "type": "video", "video": { "link": "https://files.example/clip.mp4?v=2" } }] },
                { "type": "body", "parameters": [{ "type": "text", "text": "Noa" }, { "type": "text", "text": "17:00" }] },
                { "type": "button", "sub_type": "url", "index": "1", "parameters": [{ "type": "text", "text": "track/8" }] },
            ] })
            )
        );
        let bare = TemplateContent { name: "hello".into(), language: "en_US".into(), ..TemplateContent::default() };
        assert_eq!(
            object(&OutboundContent::Template(bare)).1,
            json!({ "name": "hello", "language": { "code": "en_US" } })
        );
        assert_eq!(header("Winter"), json!({ "type": "text", "text": "Winter" }));
        assert_eq!(header("https://x.example/a")["type"], "image");
    }

    #[test]
    fn places_cards_reactions_and_receipts() {
        let place = Location { latitude: 32.5, longitude: 34.25, name: Some("Shop".into()), address: None };
        assert_eq!(
            object(&OutboundContent::Location(place)),
            ("location".into(), json!({ "latitude": 32.5, "longitude": 34.25, "name": "Shop" }))
        );
        let cards = vec![json!({ "name": { "formatted_name": "Dan" } })];
        assert_eq!(object(&OutboundContent::Contacts { contacts: cards.clone() }), ("contacts".into(), json!(cards)));
        let reaction = OutboundContent::Reaction { provider_message_id: "wamid.R".into(), emoji: String::new() };
        assert_eq!(object(&reaction), ("reaction".into(), json!({ "message_id": "wamid.R", "emoji": "" })));
        assert_eq!(
            read("wamid.R", false),
            json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.R" })
        );
        assert_eq!(read("wamid.R", true)["typing_indicator"], json!({ "type": "text" }));
    }
}
