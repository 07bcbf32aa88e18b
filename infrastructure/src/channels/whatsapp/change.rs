//! A customer is known by a new identifier from now on (Meta, webhooks: system messages, user_id_update).

use domain::shared::channel::Address;
use domain::shared::phone::Phone;
use serde_json::Value;

use super::{sender, wire};

/// How a contact was known, and how it is known now.
pub(super) type Change = (Address, Address);

/// The change a system message tells of. `None`: it tells of something else. `Some(Err)`: it tells of a
/// change, but not between which identifiers.
pub(super) fn of_system(message: &Value) -> Option<Result<Change, &'static str>> {
    let system = wire::at(message, &["system"])?;
    match wire::text(system, &["type"])?.as_str() {
        "user_changed_number" | "customer_changed_number" => Some(number(message, system)),
        "user_changed_user_id" => Some(user_id(message, system)),
        _ => None,
    }
}

/// An element of `value.user_id_update`.
pub(super) fn of_user_id_update(element: &Value) -> Result<Change, &'static str> {
    let current = wire::text(element, &["user_id", "current"]).ok_or("user id update without the new id")?;
    let from = Address {
        phone: wire::text(element, &["wa_id"]).and_then(|wa_id| Phone::from_wa_id(&wa_id)),
        user_id: wire::text(element, &["user_id", "previous"]),
    };
    checked(from, Address { phone: None, user_id: Some(current) })
}

/// The new number is `wa_id` in some payloads and `new_wa_id` in others; the old one is in `from`.
fn number(message: &Value, system: &Value) -> Result<Change, &'static str> {
    let phone = wire::text(system, &["new_wa_id"])
        .or_else(|| wire::text(system, &["wa_id"]))
        .and_then(|wa_id| Phone::from_wa_id(&wa_id))
        .ok_or("number change without the new number")?;
    let to = Address { phone: Some(phone), user_id: wire::text(system, &["user_id"]) };
    checked(sender::of_message(message), to)
}

/// This message can come without `from`; the old id is then only in the prose of `body`.
fn user_id(message: &Value, system: &Value) -> Result<Change, &'static str> {
    let current = wire::text(system, &["user_id"]).ok_or("user id change without the new id")?;
    let mut from = sender::of_message(message);
    from.user_id = from.user_id.filter(|id| *id != current).or_else(|| named_in_prose(system, &current));
    checked(from, Address { phone: None, user_id: Some(current) })
}

fn named_in_prose(system: &Value, except: &str) -> Option<String> {
    let body = wire::text(system, &["body"])?;
    let mut words = body.split_whitespace().map(|word| word.trim_end_matches('.'));
    words.find(|word| sender::looks_like_user_id(word) && *word != except).map(str::to_owned)
}

fn checked(from: Address, to: Address) -> Result<Change, &'static str> {
    if sender::is_known(&from) { Ok((from, to)) } else { Err("change of identifier without the old one") }
}
