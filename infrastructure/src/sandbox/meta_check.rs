//! What Graph checks of a request before it takes it (Meta, messages/send-messages and the pages of the
//! message types).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::meta_numbers;

/// A refusal in Graph's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub status: u16,
    code: i64,
    subcode: Option<i64>,
    details: String,
}

impl Refusal {
    /// The refusal with a code of the sandbox's table.
    pub(super) fn new(code: i64, details: impl Into<String>) -> Self {
        let (status, _) = meta_numbers::error(code).unwrap_or((400, ""));
        Self { status, code, subcode: None, details: details.into() }
    }

    /// The refusal with a code of the sandbox's table and the subcode that says which one it is.
    pub(super) fn sub(code: i64, subcode: i64, details: impl Into<String>) -> Self {
        Self { subcode: Some(subcode), ..Self::new(code, details) }
    }

    /// The body of the answer.
    pub(super) fn body(&self, trace: &str) -> Value {
        let message = meta_numbers::error(self.code).map_or("Error", |(_, message)| message);
        let mut body = json!({ "error": {
            "message": format!("(#{}) {message}", self.code),
            "type": "OAuthException",
            "code": self.code,
            "error_data": { "messaging_product": "whatsapp", "details": self.details },
            "fbtrace_id": trace,
        }});
        if let Some(subcode) = self.subcode {
            body["error"]["error_subcode"] = json!(subcode);
            body["error"]["error_user_msg"] = json!(self.details);
        }
        body
    }
}

/// What a request to the `messages` edge asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Mark this message as read, with or without the typing indicator.
    Read { message_id: String },
    /// Send a message.
    Message(Outgoing),
}

/// A message that passed the checks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outgoing {
    /// `to` or `recipient` as it was written.
    pub input: String,
    /// The word in `type`.
    pub kind: String,
    /// The object under that word.
    pub content: Value,
    /// `biz_opaque_callback_data`.
    pub correlation: Option<String>,
}

type Checked = Result<(), Refusal>;

/// Checks a request as Graph does.
pub(super) fn check(body: &[u8]) -> Result<Wish, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::new(100, format!("not JSON: {error}")))?;
    if body["messaging_product"] != "whatsapp" {
        return Err(missing("messaging_product must be `whatsapp`"));
    }
    if body["status"] == "read" {
        let message_id = string(&body, "message_id")?.to_owned();
        return Ok(Wish::Read { message_id });
    }
    if body.get("recipient_type").is_some_and(|kind| kind != "individual") {
        return Err(invalid("recipient_type must be `individual`"));
    }
    let input = body["to"].as_str().or_else(|| body["recipient"].as_str()).unwrap_or_default().trim().to_owned();
    if input.is_empty() {
        return Err(missing("to or recipient"));
    }
    let kind = body["type"].as_str().unwrap_or("text").to_owned();
    let content = body.get(&kind).cloned().ok_or_else(|| missing(&format!("the object `{kind}`")))?;
    check_content(&kind, &content)?;
    let correlation = body["biz_opaque_callback_data"].as_str().map(str::to_owned);
    within(correlation.as_deref().unwrap_or_default(), 512, "biz_opaque_callback_data")?;
    Ok(Wish::Message(Outgoing { input, kind, content, correlation }))
}

fn check_content(kind: &str, content: &Value) -> Checked {
    match kind {
        "text" => within(string(content, "body")?, 4096, "text.body"),
        "image" | "video" | "audio" | "document" | "sticker" => check_media(content),
        "interactive" => check_interactive(content),
        "template" => check_template(content),
        "location" => {
            let degrees = |key: &str| content[key].as_f64().is_some();
            ensure(degrees("latitude") && degrees("longitude"), "location needs latitude and longitude")
        }
        "contacts" => {
            let cards = list(content);
            let named = cards.iter().all(|card| card["name"]["formatted_name"].is_string());
            ensure(!cards.is_empty() && named, "every contact needs name.formatted_name")
        }
        "reaction" => string(content, "message_id").map(|_| ()),
        other => Err(Refusal::new(100, format!("unknown type `{other}`"))),
    }
}

fn check_media(media: &Value) -> Checked {
    within(media["caption"].as_str().unwrap_or_default(), 1024, "caption")?;
    match (media["id"].as_str(), media["link"].as_str()) {
        (Some(id), None) if !id.is_empty() => Ok(()),
        (None, Some(link)) => {
            ensure(link.starts_with("http://") || link.starts_with("https://"), "link is not a web address")
        }
        (Some(_), None) | (Some(_), Some(_)) | (None, None) => Err(missing("either id or link of the media")),
    }
}

fn check_template(template: &Value) -> Checked {
    let name = string(template, "name")?;
    string(&template["language"], "code")?;
    if let Some(components) = template.get("components") {
        ensure(components.is_array(), "components must be an array")?;
    }
    match meta_numbers::of_template(name) {
        Some(code) => Err(Refusal::new(code, format!("template `{name}`"))),
        None => Ok(()),
    }
}

fn check_interactive(interactive: &Value) -> Checked {
    let body = string(&interactive["body"], "text")?;
    within(interactive["header"]["text"].as_str().unwrap_or_default(), 60, "header.text")?;
    within(interactive["footer"]["text"].as_str().unwrap_or_default(), 60, "footer.text")?;
    let action = &interactive["action"];
    match interactive["type"].as_str() {
        Some("button") => within(body, 1024, "body.text").and_then(|()| check_buttons(list(&action["buttons"]))),
        Some("list") => within(body, 4096, "body.text").and_then(|()| check_list(action)),
        Some(_) => ensure(action.is_object(), "interactive needs an action"),
        None => Err(missing("interactive.type")),
    }
}

fn check_buttons(buttons: &[Value]) -> Checked {
    ensure((1..=3).contains(&buttons.len()), "one to three buttons")?;
    let mut seen = HashSet::new();
    for button in buttons {
        let (id, title) = (string(&button["reply"], "id")?, string(&button["reply"], "title")?);
        within(id, 256, "button id")?;
        within(title, 20, "button title")?;
        ensure(seen.insert(("id", id)) && seen.insert(("title", title)), "ids and titles of buttons are unique")?;
    }
    Ok(())
}

fn check_list(action: &Value) -> Checked {
    within(string(action, "button")?, 20, "action.button")?;
    let sections = list(&action["sections"]);
    ensure((1..=10).contains(&sections.len()), "one to ten sections")?;
    let (mut rows, mut seen) = (0, HashSet::new());
    for section in sections {
        let title = section["title"].as_str().unwrap_or_default();
        within(title, 24, "section title")?;
        ensure(sections.len() == 1 || !title.is_empty(), "every section needs a title when there are several")?;
        for row in list(&section["rows"]) {
            let id = string(row, "id")?;
            within(id, 200, "row id")?;
            within(string(row, "title")?, 24, "row title")?;
            within(row["description"].as_str().unwrap_or_default(), 72, "row description")?;
            ensure(seen.insert(id), "row ids are unique")?;
            rows += 1;
        }
    }
    ensure((1..=10).contains(&rows), "one to ten rows in all sections together")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str, Refusal> {
    value[key].as_str().filter(|text| !text.trim().is_empty()).ok_or_else(|| missing(key))
}

fn within(text: &str, most: usize, what: &str) -> Checked {
    ensure(text.chars().count() <= most, &format!("{what} is longer than {most} characters"))
}

fn ensure(holds: bool, rule: &str) -> Checked {
    if holds { Ok(()) } else { Err(invalid(rule)) }
}

fn missing(what: &str) -> Refusal {
    Refusal::new(131_008, what)
}

fn invalid(rule: &str) -> Refusal {
    Refusal::new(131_009, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(extra: Value) -> Option<i64> {
        let mut body = json!({ "messaging_product": "whatsapp", "to": "+972500000001" });
        for (key, value) in extra.as_object().expect("an object") {
            body[key] = value.clone();
        }
        check(body.to_string().as_bytes()).err().map(|refusal| refusal.code)
    }

    fn buttons(titles: &[&str]) -> Value {
        let each = |title: &&str| json!({ "type": "reply", "reply": { "id": format!("id-{title}"), "title": title } });
        json!({ "type": "interactive", "interactive": { "type": "button", "body": { "text": "?" },
            "action": { "buttons": titles.iter().map(each).collect::<Vec<_>>() } } })
    }

    fn rows(count: usize) -> Value {
        let rows: Vec<_> = (0..count).map(|n| json!({ "id": n.to_string(), "title": "row" })).collect();
        json!({ "type": "interactive", "interactive": { "type": "list", "body": { "text": "?" },
            "action": { "button": "Open", "sections": [{ "rows": rows }] } } })
    }

    #[test]
    fn limits_of_meta_hold() {
        assert_eq!(code(json!({ "type": "text", "text": { "body": "א".repeat(4096) } })), None);
        assert_eq!(code(json!({ "type": "text", "text": { "body": "a".repeat(4097) } })), Some(131_009));
        assert_eq!(code(buttons(&["a", "b", "c"])), None);
        for wrong in
            [buttons(&[]), buttons(&["a", "b", "c", "d"]), buttons(&["a", "a"]), buttons(&["twenty-one characters"])]
        {
            assert_eq!(code(wrong), Some(131_009));
        }
        assert_eq!((code(rows(10)), code(rows(11)), code(rows(0))), (None, Some(131_009), Some(131_009)));
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        assert_eq!(code(json!({ "type": "text" })), Some(131_008));
        assert_eq!(code(json!({ "type": "text", "text": { "body": "a" }, "to": "" })), Some(131_008));
        assert_eq!(code(json!({ "type": "text", "text": { "body": "a" }, "messaging_product": "sms" })), Some(131_008));
        assert_eq!(code(json!({ "type": "hologram", "hologram": {} })), Some(100));
        assert_eq!(
            code(json!({ "type": "image", "image": { "id": "1", "link": "https://x.example" } })),
            Some(131_008)
        );
        assert_eq!(
            code(json!({ "type": "template", "template": { "name": "a_132015", "language": { "code": "he" } } })),
            Some(132_015)
        );
        assert_eq!(check(b"{").err().map(|refusal| refusal.code), Some(100));
    }

    /// Requests as Meta's own specification shows them, where a collection of them lies beside the project:
    /// all are taken but those with a placeholder for a link and the list that leaves its type
    /// out; a text may, for that is the type when none is given.
    #[test]
    fn the_requests_of_metas_specification_are_taken() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/graph_request");
        let Ok(listing) = std::fs::read_dir(folder) else {
            println!("no shared requests beside the project: nothing checked");
            return;
        };
        for file in listing.map(|file| file.expect("readable").path()) {
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with("send_message_send") || !name.contains("metaopenapi") {
                continue;
            }
            let body: Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
            let typed = ["type", "status", "text"].iter().any(|key| body.get(key).is_some());
            let placeholder = body[body["type"].as_str().unwrap_or_default()]["link"]
                .as_str()
                .is_some_and(|link| !link.starts_with("http://") && !link.starts_with("https://"));
            let checked = check(body.to_string().as_bytes());
            assert_eq!(checked.is_ok(), typed && !placeholder, "{name}: {checked:?}");
        }
    }
}
