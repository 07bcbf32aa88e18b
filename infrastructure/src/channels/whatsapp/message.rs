//! One element of `messages[]`, by its type (Meta, webhooks/reference/messages). What is not understood is
//! kept whole as [`InboundKind::Unsupported`].

use chrono::{DateTime, Utc};
use domain::shared::inbound::{Choice, InboundKind, InboundMedia, InboundMessage, Location};
use serde_json::{Map, Value, json};

use super::wire;

/// Members that go into `raw` beside whatever a type adds.
const KEPT: [&str; 4] = ["referral", "errors", "origin", "identity"];

/// Types by the member that carries them, for the payloads that leave `type` out.
const BY_MEMBER: [&str; 15] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "button",
    "interactive",
    "reaction",
    "order",
    "edit",
    "revoke",
    "system",
];

/// What one type of message says.
#[derive(Default)]
struct Said {
    text: Option<String>,
    choice: Option<Choice>,
    media: Option<InboundMedia>,
    location: Option<Location>,
    refers_to: Option<String>,
    raw: Map<String, Value>,
}

/// Reads a message; nothing it holds can make this fail.
pub(super) fn read(message: &Value, id: String, sent_at: DateTime<Utc>) -> InboundMessage {
    let (kind, said) = said(message).unwrap_or_else(|| (InboundKind::Unsupported, Said::default()));
    let raw = if kind == InboundKind::Unsupported {
        Some(message.clone())
    } else {
        Some(with_kept(said.raw, message)).filter(|raw| !raw.is_empty()).map(Value::Object)
    };
    InboundMessage {
        provider_message_id: id,
        kind,
        text: said.text,
        choice: said.choice,
        media: said.media,
        location: said.location,
        refers_to: said.refers_to.or_else(|| wire::text(message, &["context", "id"])),
        raw,
        sent_at,
    }
}

fn said(message: &Value) -> Option<(InboundKind, Said)> {
    let word = match wire::text(message, &["type"]) {
        Some(word) => word,
        None => BY_MEMBER.into_iter().find(|member| message.get(member).is_some())?.to_owned(),
    };
    let body = wire::at(message, &[&word])?;
    match word.as_str() {
        "text" => text(body).map(|said| (InboundKind::Text, said)),
        "image" => Some((InboundKind::Image, media(body))),
        "video" => Some((InboundKind::Video, media(body))),
        "audio" | "voice" => Some((InboundKind::Audio, media(body))),
        "document" => Some((InboundKind::Document, media(body))),
        "sticker" => Some((InboundKind::Sticker, media(body))),
        "location" => location(body).map(|said| (InboundKind::Location, said)),
        "contacts" => Some((InboundKind::Contacts, keeping("contacts", body))),
        "button" => choice(body, "payload", "text").map(|said| (InboundKind::Choice, said)),
        "interactive" => interactive(body),
        "reaction" => reaction(body).map(|said| (InboundKind::Reaction, said)),
        "order" => Some((InboundKind::Order, Said { text: wire::text(body, &["text"]), ..keeping("order", body) })),
        "edit" => edit(body).map(|said| (InboundKind::Edit, said)),
        "revoke" => original(body).map(|said| (InboundKind::Revoke, said)),
        "system" => Some((InboundKind::System, Said { text: wire::text(body, &["body"]), ..keeping("system", body) })),
        _ => None,
    }
}

fn text(body: &Value) -> Option<Said> {
    let text = wire::at(body, &["body"])?.as_str()?.to_owned();
    Some(Said { text: Some(text), ..Said::default() })
}

fn media(body: &Value) -> Said {
    let media = InboundMedia {
        id: wire::text(body, &["id"]),
        url: wire::text(body, &["url"]).or_else(|| wire::text(body, &["link"])),
        mime_type: wire::text(body, &["mime_type"]),
        filename: wire::text(body, &["filename"]),
    };
    Said { text: wire::text(body, &["caption"]), media: Some(media), ..Said::default() }
}

fn location(body: &Value) -> Option<Said> {
    let location = Location {
        latitude: wire::float(body, &["latitude"])?,
        longitude: wire::float(body, &["longitude"])?,
        name: wire::text(body, &["name"]),
        address: wire::text(body, &["address"]),
    };
    Some(Said { location: Some(location), ..Said::default() })
}

/// A pressed button or a chosen row. A template's quick reply without a payload is known by its title.
fn choice(body: &Value, id: &str, title: &str) -> Option<Said> {
    let (id, title) = (wire::text(body, &[id]), wire::text(body, &[title]));
    let choice = Choice { id: id.clone().or_else(|| title.clone())?, title: title.or(id)? };
    Some(Said { text: Some(choice.title.clone()), choice: Some(choice), ..Said::default() })
}

fn interactive(body: &Value) -> Option<(InboundKind, Said)> {
    if let Some(reply) = wire::at(body, &["button_reply"]).or_else(|| wire::at(body, &["list_reply"])) {
        return choice(reply, "id", "title").map(|said| (InboundKind::Choice, said));
    }
    wire::at(body, &["nfm_reply"]).map(|reply| (InboundKind::Form, form(reply)))
}

/// The answers of a WhatsApp Flow are JSON in a string; decoded, they stand in `raw.answers`.
fn form(reply: &Value) -> Said {
    let mut said = Said { text: wire::text(reply, &["body"]), ..keeping("nfm_reply", reply) };
    let answers = wire::text(reply, &["response_json"]).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    if let Some(answers) = answers {
        said.raw.insert("answers".to_owned(), answers);
    }
    said
}

/// A reaction that is taken back has an empty `emoji`, or none.
fn reaction(body: &Value) -> Option<Said> {
    let refers_to = Some(wire::text(body, &["message_id"])?);
    Some(Said { text: wire::text(body, &["emoji"]), refers_to, ..Said::default() })
}

/// The new text of an edited message is nested as a message of its own.
fn edit(body: &Value) -> Option<Said> {
    let inner = wire::at(body, &["message"]).and_then(said);
    let (text, media) = inner.map_or((None, None), |(_, inner)| (inner.text, inner.media));
    Some(Said { text, media, raw: keeping("edit", body).raw, ..original(body)? })
}

fn original(body: &Value) -> Option<Said> {
    let refers_to = Some(wire::text(body, &["original_message_id"])?);
    Some(Said { refers_to, ..Said::default() })
}

fn keeping(key: &str, body: &Value) -> Said {
    Said { raw: Map::from_iter([(key.to_owned(), body.clone())]), ..Said::default() }
}

fn with_kept(mut raw: Map<String, Value>, message: &Value) -> Map<String, Value> {
    for key in KEPT {
        if let Some(kept) = wire::at(message, &[key]) {
            raw.insert(key.to_owned(), kept.clone());
        }
    }
    if let Some(Value::Object(context)) = wire::at(message, &["context"]) {
        let more: Map<_, _> =
            context.iter().filter(|(key, _)| !matches!(key.as_str(), "from" | "id")).map(owned).collect();
        if !more.is_empty() {
            raw.insert("context".to_owned(), json!(more));
        }
    }
    raw
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(message: Value) -> InboundMessage {
        read(&message, "wamid.A".to_owned(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_choice_has_its_id_and_title() {
        let row = parsed(json!({"type": "interactive", "context": {"id": "wamid.Q"}, "interactive":
            {"type": "list_reply", "list_reply": {"id": "row-2", "title": "Haifa", "description": "north"}}}));
        assert_eq!(row.kind, InboundKind::Choice);
        assert_eq!(row.choice, Some(Choice { id: "row-2".into(), title: "Haifa".into() }));
        assert_eq!((row.text.as_deref(), row.refers_to.as_deref()), (Some("Haifa"), Some("wamid.Q")));
        let quick = parsed(json!({"type": "button", "button": {"text": "Yes"}}));
        assert_eq!(quick.choice, Some(Choice { id: "Yes".into(), title: "Yes".into() }));
    }

    #[test]
    fn the_answers_of_a_form_are_decoded_and_bad_ones_kept() {
        let form = |json_text: &str| {
            parsed(json!({"type": "interactive", "interactive":
                {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": json_text}}}))
        };
        let good = form(r#"{"size":"42"}"#);
        assert_eq!(good.kind, InboundKind::Form);
        assert_eq!(good.raw.expect("raw")["answers"]["size"], "42");
        let bad = form("{not json").raw.expect("raw");
        assert!(bad.get("answers").is_none() && bad["nfm_reply"]["response_json"] == "{not json");
    }

    #[test]
    fn what_is_unknown_or_hollow_is_kept_whole() {
        for message in [
            json!({"type": "hologram", "hologram": {"id": 1}}),
            json!({"type": "interactive", "errors": [{"code": 131_000}]}),
            json!({"type": "text"}),
            json!({"type": "text", "text": 7}),
            json!({"type": ["text"]}),
            json!({}),
            json!("text"),
        ] {
            let read = parsed(message.clone());
            assert_eq!((read.kind, read.raw), (InboundKind::Unsupported, Some(message)));
        }
    }

    #[test]
    fn an_edit_tells_the_new_text_and_where_from() {
        let edit = parsed(json!({"type": "edit", "edit": {"original_message_id": "wamid.O",
            "message": {"type": "text", "text": {"body": "at nine"}}}}));
        assert_eq!((edit.kind, edit.text.as_deref()), (InboundKind::Edit, Some("at nine")));
        assert_eq!(edit.refers_to.as_deref(), Some("wamid.O"));
    }

    #[test]
    fn an_advertisement_and_forwarding_are_kept_beside_the_text() {
        let text = parsed(json!({"type": "text", "text": {"body": "hi"}, "referral": {"source_id": "77"},
            "context": {"id": "wamid.C", "from": "1", "forwarded": true}}));
        let raw = text.raw.expect("raw");
        assert_eq!((&raw["referral"]["source_id"], &raw["context"]), (&json!("77"), &json!({"forwarded": true})));
        assert_eq!(parsed(json!({"type": "text", "text": {"body": "hi"}, "context": {"id": "wamid.C"}})).raw, None);
    }
}
