//! A customer writes in: from a short description to the message object Meta would send.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::meta_webhooks::{is_user_id, seconds};

/// What a customer does on their phone. One of `text`, `buttonId`, `rowId`, `payload`, `type`+`media`, `raw`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Writing {
    pub phone_number_id: String,
    pub name: Option<String>,
    text: Option<String>,
    button_id: Option<String>,
    row_id: Option<String>,
    payload: Option<String>,
    title: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    media: Option<Value>,
    raw: Option<Map<String, Value>>,
    context_id: Option<String>,
}

/// The message object. `answers` is the message a button or row belongs to.
pub(super) fn message(
    customer: &str,
    wamid: &str,
    writing: &Writing,
    answers: Option<String>,
) -> Result<Value, &'static str> {
    let mut message = said(writing, answers)?;
    let from = if is_user_id(customer) { "from_user_id" } else { "from" };
    let given = |message: &Map<String, Value>| message.contains_key("from") || message.contains_key("from_user_id");
    if !given(&message) {
        message.insert(from.to_owned(), json!(customer));
    }
    if let Some(id) = &writing.context_id {
        message.insert("context".to_owned(), json!({ "id": id }));
    }
    message.entry("id").or_insert_with(|| json!(wamid));
    message.entry("timestamp").or_insert_with(|| json!(seconds()));
    message.retain(|_, member| !member.is_null());
    Ok(Value::Object(message))
}

/// The contact that stands beside a message.
pub(super) fn contact(customer: &str, name: &str) -> Value {
    let key = if is_user_id(customer) { "user_id" } else { "wa_id" };
    json!({ key: customer, "profile": { "name": name } })
}

fn said(writing: &Writing, answers: Option<String>) -> Result<Map<String, Value>, &'static str> {
    if let Some(raw) = &writing.raw {
        return Ok(raw.clone());
    }
    let (kind, content) = content(writing)?;
    let mut message = Map::new();
    message.insert("type".to_owned(), json!(kind));
    if let Some(id) = answers.filter(|_| matches!(kind, "interactive" | "button")) {
        message.insert("context".to_owned(), json!({ "id": id }));
    }
    message.insert(kind.to_owned(), content);
    Ok(message)
}

fn content(writing: &Writing) -> Result<(&str, Value), &'static str> {
    let title = |id: &String| writing.title.clone().unwrap_or_else(|| id.clone());
    if let Some(text) = &writing.text {
        return Ok(("text", json!({ "body": text })));
    }
    if let Some(id) = &writing.button_id {
        return Ok((
            "interactive",
            json!({ "type": "button_reply", "button_reply": { "id": id, "title": title(id) } }),
        ));
    }
    if let Some(id) = &writing.row_id {
        return Ok(("interactive", json!({ "type": "list_reply", "list_reply": { "id": id, "title": title(id) } })));
    }
    if let Some(payload) = &writing.payload {
        return Ok(("button", json!({ "payload": payload, "text": title(payload) })));
    }
    match (&writing.kind, &writing.media) {
        (Some(kind), Some(media)) => Ok((kind, media.clone())),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            Err("one of text, buttonId, rowId, payload, type with media, raw")
        }
    }
}
