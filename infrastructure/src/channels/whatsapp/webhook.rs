//! A webhook body of the WhatsApp Business Platform, taken apart (Meta, webhooks/overview). Every element
//! becomes an item of its own, so that one that cannot be understood never takes a neighbour with it.

use application::channels::{InboundItem, StatusNews};
use chrono::{DateTime, Utc};
use domain::shared::delivery::DeliveryStatus;
use domain::shared::nulls::without_nulls;
use domain::shared::phone::Phone;
use serde_json::{Map, Value};

use super::{change, errors, message, sender, template_news, wire};

/// The `object` of every webhook of this platform.
const OBJECT: &str = "whatsapp_business_account";
/// Members of `value` that say where the news comes from, not what it is.
const FRAME: [&str; 3] = ["messaging_product", "metadata", "contacts"];

/// Takes a webhook body apart. Never fails: what is not for the message path comes back parked, with its reason.
pub fn parse(body: &[u8]) -> Vec<InboundItem> {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return vec![parked(None, "not JSON", &Value::String(String::from_utf8_lossy(body).into_owned()))];
    };
    let document = without_nulls(document);
    if wire::text(&document, &["object"]).is_some_and(|object| object != OBJECT) {
        return vec![parked(None, "not of a WhatsApp business account", &document)];
    }
    let entries = wire::elements(document.get("entry"));
    if entries.is_empty() {
        return vec![parked(None, "no entry", &document)];
    }
    entries.iter().flat_map(of_entry).collect()
}

/// What a body says it is about, before anything in it is trusted: what app secrets are looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The ids of lines, each once.
    pub lines: Vec<String>,
    /// The ids of the WhatsApp Business Accounts that news of templates are about, each once. Such news name no line.
    pub business_accounts: Vec<String>,
}

/// The lines and WhatsApp Business Accounts a body names. Webhooks about an account name neither.
pub fn named(body: &[u8]) -> Named {
    let mut found = Named::default();
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return found;
    };
    let add = |list: &mut Vec<String>, id: Option<String>| list.extend(id.filter(|id| !list.contains(id)));
    for entry in wire::elements(document.get("entry")) {
        for change in wire::elements(entry.get("changes")) {
            add(&mut found.lines, change.get("value").and_then(line_of));
            if wire::text(change, &["field"]).is_some_and(|field| template_news::FIELDS.contains(&field.as_str())) {
                add(&mut found.business_accounts, wire::text(entry, &["id"]));
            }
        }
    }
    found
}

/// Where a change stands: the WhatsApp Business Account, and when it happened.
struct Entry {
    id: Option<String>,
    at: Option<DateTime<Utc>>,
}

fn of_entry(entry: &Value) -> Vec<InboundItem> {
    let changes = wire::elements(entry.get("changes"));
    if changes.is_empty() {
        return vec![parked(None, "entry without changes", entry)];
    }
    let frame = Entry { id: wire::text(entry, &["id"]), at: wire::timestamp(entry, &["time"]) };
    changes.iter().flat_map(|change| of_change(&frame, change)).collect()
}

fn of_change(entry: &Entry, change: &Value) -> Vec<InboundItem> {
    let Some(Value::Object(value)) = change.get("value") else {
        return vec![parked(None, "change without a value", change)];
    };
    let line = change.get("value").and_then(line_of);
    let field = wire::text(change, &["field"]);
    match field.as_deref() {
        None | Some("messages") => of_messages(line, value, change),
        Some("user_id_update") if value.contains_key("user_id_update") => of_user_id_updates(line, value),
        Some("user_preferences") if value.contains_key("user_preferences") => of_user_preferences(line, value),
        Some(field) if template_news::FIELDS.contains(&field) => {
            vec![match template_news::of_change(field, entry.id.clone(), entry.at, value) {
                Ok(news) => InboundItem::Template(news),
                Err(reason) => parked(line.as_deref(), reason, change),
            }]
        }
        Some(other) => of_other(other, line, value, change),
    }
}

/// The `messages` field: messages, statuses, errors, and whatever Meta adds one day.
fn of_messages(line: Option<String>, value: &Map<String, Value>, change: &Value) -> Vec<InboundItem> {
    let contacts = wire::elements(value.get("contacts"));
    let mut items = Vec::new();
    for (key, member) in value.iter().filter(|(key, _)| !FRAME.contains(&key.as_str())) {
        let elements = wire::elements(Some(member)).iter();
        match key.as_str() {
            "messages" => items.extend(elements.map(|element| of_message(line.as_deref(), element, contacts))),
            "statuses" => items.extend(elements.map(|element| of_status(line.as_deref(), element))),
            "errors" => items.extend(elements.map(|element| parked(line.as_deref(), "error of the platform", element))),
            other => items.push(parked(line.as_deref(), &format!("unknown member `{other}`"), member)),
        }
    }
    if items.is_empty() {
        items.push(parked(line.as_deref(), "nothing in the change", change));
    }
    items
}

fn of_message(line: Option<&str>, element: &Value, contacts: &[Value]) -> InboundItem {
    let Some(phone_number_id) = line.map(str::to_owned) else {
        return parked(None, "message without a phone_number_id", element);
    };
    if element.get("group_id").is_some() {
        return parked(line, "group message", element);
    }
    match change::of_system(element) {
        Some(Ok((from, to))) => {
            return InboundItem::AddressChanged { phone_number_id, from, to };
        }
        Some(Err(reason)) => return parked(line, reason, element),
        None => {}
    }
    let Some(id) = wire::text(element, &["id"]) else {
        return parked(line, "message without an id", element);
    };
    let Some(sent_at) = wire::timestamp(element, &["timestamp"]) else {
        return parked(line, "message without a timestamp", element);
    };
    let sender = sender::resolve(element, contacts);
    if !sender::is_known(&sender.address) {
        return parked(line, "message without a sender", element);
    }
    InboundItem::Message { phone_number_id, sender, message: message::read(element, id, sent_at) }
}

fn of_status(line: Option<&str>, element: &Value) -> InboundItem {
    let Some(phone_number_id) = line.map(str::to_owned) else {
        return parked(None, "status without a phone_number_id", element);
    };
    if wire::text(element, &["recipient_type"]).as_deref() == Some("group") {
        return parked(line, "group status", element);
    }
    let Some(status) = wire::text(element, &["status"]).and_then(|word| status_of(&word)) else {
        return parked(line, "unknown status", element);
    };
    let (Some(provider_message_id), Some(at)) =
        (wire::text(element, &["id"]), wire::timestamp(element, &["timestamp"]))
    else {
        return parked(line, "status without an id or a timestamp", element);
    };
    let news = StatusNews {
        provider_message_id,
        status,
        at,
        correlation: wire::text(element, &["biz_opaque_callback_data"]),
        error: wire::elements(element.get("errors")).first().map(errors::from_webhook),
    };
    InboundItem::Status { phone_number_id, news }
}

/// A voice message that was played was read.
fn status_of(word: &str) -> Option<DeliveryStatus> {
    match word {
        "sent" => Some(DeliveryStatus::Sent),
        "delivered" => Some(DeliveryStatus::Delivered),
        "read" | "played" => Some(DeliveryStatus::Read),
        "failed" => Some(DeliveryStatus::Failed),
        _ => None,
    }
}

fn of_user_id_updates(line: Option<String>, value: &Map<String, Value>) -> Vec<InboundItem> {
    let update = |element| match (line.clone(), change::of_user_id_update(element)) {
        (Some(phone_number_id), Ok((from, to))) => InboundItem::AddressChanged { phone_number_id, from, to },
        (None, Ok(_)) => parked(None, "user id update without a phone_number_id", element),
        (_, Err(reason)) => parked(line.as_deref(), reason, element),
    };
    let items = wire::elements(value.get("user_id_update")).iter().map(update).collect();
    with_the_rest(items, "user_id_update", line.as_deref(), value)
}

/// What was read of a field's elements, and whatever else came with them: parked, so that nothing is lost.
fn with_the_rest(
    mut items: Vec<InboundItem>,
    field: &str,
    line: Option<&str>,
    value: &Map<String, Value>,
) -> Vec<InboundItem> {
    let rest: Map<_, _> = value
        .iter()
        .filter(|(key, _)| !FRAME.contains(&key.as_str()) && *key != field)
        .map(|(key, member)| (key.clone(), member.clone()))
        .collect();
    if !rest.is_empty() || items.is_empty() {
        items.push(parked(line, &format!("webhook field `{field}`"), &Value::Object(rest)));
    }
    items
}

/// Who stopped a business's marketing messages, or takes them again (Meta, webhooks/reference/user_preferences).
fn of_user_preferences(line: Option<String>, value: &Map<String, Value>) -> Vec<InboundItem> {
    let preference = |element: &Value| {
        let told = wire::text(element, &["value"]);
        let wants_marketing = match told.as_deref() {
            Some("stop") => false,
            Some("resume") => true,
            _ => return None,
        };
        let is_marketing = wire::text(element, &["category"])? == "marketing_messages";
        Some(InboundItem::Preference {
            phone_number_id: line.clone()?,
            phone: Phone::from_wa_id(&wire::text(element, &["wa_id"])?)?,
            wants_marketing,
            at: wire::timestamp(element, &["timestamp"])?,
        })
        .filter(|_| is_marketing)
    };
    let each = |element| {
        preference(element).unwrap_or_else(|| parked(line.as_deref(), "a preference that cannot be read", element))
    };
    let items = wire::elements(value.get("user_preferences")).iter().map(each).collect();
    with_the_rest(items, "user_preferences", line.as_deref(), value)
}

/// Any other field is parked: element by element where a line's value is nothing but lists, else as a whole.
fn of_other(field: &str, line: Option<String>, value: &Map<String, Value>, change: &Value) -> Vec<InboundItem> {
    let news: Vec<_> = value.iter().filter(|(key, _)| !FRAME.contains(&key.as_str())).collect();
    let lists_only = value.contains_key("metadata") && news.iter().all(|(_, member)| member.is_array());
    let mut items = Vec::new();
    for (key, member) in news.iter().filter(|_| lists_only) {
        let reason = format!("webhook field `{field}`: {key}");
        items.extend(wire::elements(Some(member)).iter().map(|element| parked(line.as_deref(), &reason, element)));
    }
    if items.is_empty() {
        items.push(parked(line.as_deref(), &format!("webhook field `{field}`"), change));
    }
    items
}

fn line_of(value: &Value) -> Option<String> {
    wire::text(value, &["metadata", "phone_number_id"])
}

fn parked(line: Option<&str>, reason: &str, element: &Value) -> InboundItem {
    InboundItem::Parked {
        phone_number_id: line.map(str::to_owned),
        reason: reason.to_owned(),
        element: element.clone(),
    }
}
