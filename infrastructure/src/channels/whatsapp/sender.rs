//! Who sent a message. A WhatsApp user may have no phone number: then the business-scoped user id stands
//! alone, in the message or only in `contacts[]` (Meta, business-scoped user ids).

use application::channels::Sender;
use domain::shared::channel::Address;
use domain::shared::phone::Phone;
use serde_json::Value;

use super::wire;

/// The sender of a message, from the message itself and the contact that goes with it.
/// Without any identifier the address is empty.
pub(super) fn resolve(message: &Value, contacts: &[Value]) -> Sender {
    let own = of_message(message);
    let contact = contacts
        .iter()
        .find(|contact| agrees(&own, contact))
        .or_else(|| contacts.first().filter(|only| contacts.len() == 1 && !contradicts(&own, only)));
    let Some(contact) = contact else {
        return Sender { address: own, name: None };
    };
    Sender { address: of_contact(contact).merged(&own), name: wire::text(contact, &["profile", "name"]) }
}

/// Whether an address says anything at all.
pub(super) fn is_known(address: &Address) -> bool {
    address.phone.is_some() || address.user_id.is_some()
}

/// The identifiers the message itself names. `from` may hold a user id instead of a number.
pub(super) fn of_message(message: &Value) -> Address {
    let from = wire::text(message, &["from"]);
    let user_id = wire::text(message, &["from_user_id"])
        .or_else(|| from.clone().filter(|from| looks_like_user_id(from)))
        .or_else(|| wire::text(message, &["from_parent_user_id"]));
    Address { phone: from.and_then(|from| Phone::from_wa_id(&from)), user_id }
}

/// The identifiers a contact names.
fn of_contact(contact: &Value) -> Address {
    let wa_id = wire::text(contact, &["wa_id"]);
    let user_id = wire::text(contact, &["user_id"])
        .or_else(|| wa_id.clone().filter(|wa_id| looks_like_user_id(wa_id)))
        .or_else(|| wire::text(contact, &["parent_user_id"]));
    Address { phone: wa_id.and_then(|wa_id| Phone::from_wa_id(&wa_id)), user_id }
}

/// Two letters, a dot, then letters, digits and dots: `US.1349…`, `US.ENT.1181…`.
pub(super) fn looks_like_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else {
        return false;
    };
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

fn agrees(own: &Address, contact: &Value) -> bool {
    let theirs = of_contact(contact);
    let same_phone = own.phone.is_some() && own.phone == theirs.phone;
    same_phone || (own.user_id.is_some() && names_user(contact, own.user_id.as_deref()))
}

/// A contact that names another number or another user is someone else, even when it is the only one:
/// joining the two would make one person of two.
fn contradicts(own: &Address, contact: &Value) -> bool {
    let theirs = of_contact(contact);
    let other_phone = own.phone.is_some() && theirs.phone.is_some() && own.phone != theirs.phone;
    let other_user = own.user_id.is_some() && theirs.user_id.is_some() && !names_user(contact, own.user_id.as_deref());
    other_phone || other_user
}

fn names_user(contact: &Value, user_id: Option<&str>) -> bool {
    ["user_id", "parent_user_id", "wa_id"].iter().any(|key| wire::text(contact, &[key]).as_deref() == user_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(message: Value, contacts: Value) -> (Option<String>, Option<String>, Option<String>) {
        let sender = resolve(&message, contacts.as_array().expect("an array"));
        (sender.address.phone.map(|p| p.to_string()), sender.address.user_id, sender.name)
    }

    #[test]
    fn the_contact_that_agrees_is_taken_among_several() {
        let contacts = json!([
            {"wa_id": "972500000001", "profile": {"name": "Noa"}},
            {"wa_id": "972500000002", "user_id": "IL.22", "profile": {"name": "Dan"}},
        ]);
        let both = (Some("+972500000002".into()), Some("IL.22".into()), Some("Dan".into()));
        assert_eq!(told(json!({"from": "972500000002"}), contacts.clone()), both);
        assert_eq!(told(json!({"from_user_id": "IL.22"}), contacts.clone()), both);
        assert_eq!(told(json!({}), contacts), (None, None, None), "which of the two?");
    }

    #[test]
    fn the_only_contact_stands_in_unless_it_is_someone_else() {
        let only = json!([{"user_id": "IL.33", "profile": {"name": "Tal"}}]);
        assert_eq!(told(json!({}), only.clone()), (None, Some("IL.33".into()), Some("Tal".into())));
        assert_eq!(
            told(json!({"from": "972500000003"}), only.clone()),
            (Some("+972500000003".into()), Some("IL.33".into()), Some("Tal".into()))
        );
        assert_eq!(told(json!({"from_user_id": "IL.44"}), only), (None, Some("IL.44".into()), None));
    }

    #[test]
    fn a_user_id_in_from_is_no_phone() {
        assert_eq!(
            told(json!({"from": "US.1234"}), json!([{"wa_id": "US.1234", "profile": {"name": "Ann"}}])),
            (None, Some("US.1234".into()), Some("Ann".into()))
        );
        assert_eq!(told(json!({"from": "someone"}), json!([])), (None, None, None));
    }
}
