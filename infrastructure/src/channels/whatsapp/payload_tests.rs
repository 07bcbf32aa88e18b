//! Whole webhook bodies: our own, each with what it must become, and a shared collection where it is at hand.

use std::path::{Path, PathBuf};

use application::channels::InboundItem;
use serde_json::Value;

use super::webhook::{Named, named, parse};

/// Every own payload and the items it becomes, in order. Files that all become `parked` are not listed one
/// by one: those of accounts, templates, calls and groups are told by their name.
const EXPECTED: &[(&str, &[&str])] = &[
    ("bad_no_entry", &["parked"]),
    ("bad_other_object", &["parked"]),
    ("message_template_components_update", &["template order_ready he"]),
    ("message_template_quality_update_yellow", &["template order_ready he"]),
    ("message_template_status_update_approved", &["template order_ready he"]),
    ("message_template_status_update_flagged", &["template order_ready he"]),
    ("message_template_status_update_rejected", &["template order_ready he"]),
    ("msg_audio_forwarded", &["audio"]),
    ("msg_audio_voice", &["audio"]),
    ("msg_button", &["choice"]),
    ("msg_button_referral_forwarded", &["choice"]),
    ("msg_contacts", &["contacts"]),
    ("msg_document", &["document"]),
    ("msg_document_forwarded", &["document"]),
    ("msg_edit", &["edit"]),
    ("msg_future_type", &["unsupported"]),
    ("msg_image", &["image"]),
    ("msg_interactive_button_reply", &["choice"]),
    ("msg_interactive_call_permission_reply", &["unsupported"]),
    ("msg_interactive_hollow", &["unsupported"]),
    ("msg_interactive_list_reply", &["choice"]),
    ("msg_interactive_nfm_reply", &["form"]),
    ("msg_location", &["location"]),
    ("msg_location_forwarded", &["location"]),
    ("msg_order", &["order"]),
    ("msg_reaction", &["reaction"]),
    ("msg_reaction_taken_back", &["reaction"]),
    ("msg_revoke", &["revoke"]),
    ("msg_sticker", &["sticker"]),
    ("msg_system_customer_identity_changed", &["system"]),
    ("msg_system_user_changed_number", &["address +972545550111 -> +972545550199"]),
    ("msg_system_user_changed_number_new_wa_id", &["address +972545550111 -> +972545550199"]),
    ("msg_system_user_changed_user_id", &["address IL.7710000000000001 -> IL.7710000000000009"]),
    ("msg_text", &["text"]),
    ("msg_text_context", &["text"]),
    ("msg_text_forwarded", &["text"]),
    ("msg_text_from_is_user_id", &["text"]),
    ("msg_text_group", &["parked"]),
    ("msg_text_no_sender", &["parked"]),
    ("msg_text_referral", &["text"]),
    ("msg_text_user_id_only", &["text"]),
    ("msg_timestamp_integer", &["text"]),
    ("msg_timestamp_milliseconds", &["text"]),
    ("msg_unknown_errors", &["unsupported"]),
    ("msg_unsupported_errors", &["unsupported"]),
    ("msg_video", &["video"]),
    ("msg_video_forwarded", &["video"]),
    ("multi", &["text", "parked", "location", "status read", "parked", "parked", "parked", "reaction"]),
    ("smb_message_echoes", &["parked"]),
    ("status_delivered", &["status delivered"]),
    ("status_delivered_user_id_only", &["status delivered"]),
    ("status_failed_130472", &["status failed 130472 recipient"]),
    ("status_failed_131047", &["status failed 131047 recipient_conditional"]),
    ("status_failed_131053", &["status failed 131053 request"]),
    ("status_future", &["parked"]),
    ("status_played", &["status read"]),
    ("status_read", &["status read"]),
    ("status_read_group", &["parked"]),
    ("status_sent", &["status sent"]),
    ("unknown_field", &["parked"]),
    ("user_id_update", &["address +972545550111 -> IL.7710000000000009"]),
    ("user_preferences", &["marketing false", "marketing true"]),
    ("value_errors", &["parked"]),
];

const ALL_PARKED: [&str; 5] = ["account_", "automatic_", "business_", "calls_", "group_"];

fn told(item: &InboundItem) -> String {
    match item {
        InboundItem::Message { message, .. } => message.kind.as_str().to_owned(),
        InboundItem::Status { news, .. } => match &news.error {
            Some(error) => format!("status {} {} {}", news.status, error.code, error.class),
            None => format!("status {}", news.status),
        },
        InboundItem::AddressChanged { from, to, .. } => format!("address {from} -> {to}"),
        InboundItem::Preference { wants_marketing, .. } => format!("marketing {wants_marketing}"),
        InboundItem::Template(news) => format!("template {} {}", news.name, news.language),
        InboundItem::Parked { .. } => "parked".to_owned(),
    }
}

fn payloads(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = listing.map(|file| file.expect("readable").path()).collect();
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("readable"))
    };
    paths.into_iter().map(named).collect()
}

fn beside_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// How many elements of `messages[]` and `statuses[]` a body has.
fn elements_in(body: &Value) -> usize {
    let changes = body["entry"].as_array().into_iter().flatten().filter_map(|entry| entry["changes"].as_array());
    let count = |value: &Value, key| value[key].as_array().map_or(0, Vec::len);
    changes.flatten().map(|change| count(&change["value"], "messages") + count(&change["value"], "statuses")).sum()
}

/// A whole body or a whole change that was parked: nothing of it is lost.
fn is_whole(item: &InboundItem) -> bool {
    matches!(item, InboundItem::Parked { element, .. } if element.get("entry").is_some() || element.get("value").is_some())
}

#[test]
fn our_own_payloads_become_what_they_say() {
    let files = payloads(&beside_project("tests/fixtures/vendors/whatsapp"));
    for (name, body) in &files {
        let items: Vec<String> = parse(body).iter().map(told).collect();
        let listed = EXPECTED.iter().find(|(listed, _)| listed == name).map(|(_, expected)| *expected);
        let by_name = ALL_PARKED.iter().chain(&["phone_number_"]).any(|start| name.starts_with(start));
        let expected = listed.or_else(|| by_name.then_some(&["parked"]));
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        assert_eq!(Some(items.as_slice()), expected, "{name}");
    }
    for (name, _) in EXPECTED {
        assert!(files.iter().any(|(file, _)| file == name), "{name}.json is missing");
    }
}

#[test]
fn correlation_name_and_line_come_through() {
    let read = |name: &str| {
        let path = beside_project("tests/fixtures/vendors/whatsapp").join(format!("{name}.json"));
        std::fs::read(path).expect("readable")
    };
    let items = parse(&read("status_sent"));
    let [InboundItem::Status { phone_number_id, news }] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((phone_number_id.as_str(), news.correlation.as_deref()), ("204815161623420", Some("018f-own")));
    let items = parse(&read("msg_text"));
    let [InboundItem::Message { sender, message, .. }] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(
        (sender.name.as_deref(), sender.address.user_id.as_deref()),
        (Some("נועה"), Some("IL.7710000000000001"))
    );
    assert_eq!(message.text.as_deref(), Some("שלום, אפשר לקבוע תור?"));
    assert_eq!(named(&read("multi")).lines, ["204815161623420"]);
    assert_eq!(named(&read("account_review_update_approved")), Named::default());
}

#[test]
fn bytes_that_are_no_webhook_are_parked_whole() {
    let deep = "[".repeat(100_000);
    for body in [b"".as_slice(), b"{", b"null", b"7", b"[]", b"{}", b"\xff\xfe", b"{}{}", deep.as_bytes()] {
        assert_eq!(parse(body).iter().map(told).collect::<Vec<_>>(), ["parked"]);
        assert_eq!(named(body), Named::default());
    }
}

/// Whatever member of a body is spoilt, nothing panics and no element is lost.
#[test]
fn a_spoilt_member_costs_no_neighbour() {
    fn spoil(value: &mut Value, countdown: &mut usize, with: &Value) -> bool {
        if *countdown == 0 {
            *value = with.clone();
            return true;
        }
        *countdown -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| spoil(item, countdown, with)),
            Value::Object(members) => members.values_mut().any(|member| spoil(member, countdown, with)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    for (name, body) in payloads(&beside_project("tests/fixtures/vendors/whatsapp")) {
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        for with in [Value::Null, Value::Bool(true), Value::from("x"), Value::from(-1), serde_json::json!([[]])] {
            for target in 0.. {
                let mut spoilt = document.clone();
                if !spoil(&mut spoilt, &mut target.clone(), &with) {
                    break;
                }
                let items = parse(spoilt.to_string().as_bytes());
                let kept = items.iter().any(is_whole) || items.len() >= elements_in(&spoilt);
                assert!(kept && !items.is_empty(), "{name} with {with} at {target}");
            }
        }
    }
}

#[test]
fn every_shared_payload_is_accounted_for() {
    let folder = beside_project("../shared/fixtures/whatsapp");
    let files = payloads(&folder);
    if files.is_empty() {
        println!("no shared payloads beside the project: nothing checked");
    }
    for (name, body) in files {
        let items = parse(&body);
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(items.len() >= elements_in(&document).max(1), "{name}: {items:?}");
        let _ = named(&body);
        for item in &items {
            if let InboundItem::Parked { reason, .. } = item {
                println!("{name}: parked, {reason}");
            }
        }
    }
}
