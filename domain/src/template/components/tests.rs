//! What Meta refuses, and what it takes.

use super::*;

/// The template of the reference.
fn hebrew() -> Value {
    json!([
        { "type": "HEADER", "format": "TEXT", "text": "תור נקבע!" },
        { "type": "BODY", "text": "שלום {{1}}, התור שלך נקבע ל-{{2}} בשעה {{3}}. נשמח לראות אותך!",
          "example": { "body_text": [["שרה", "יום שלישי 28/05", "10:00"]] } },
        { "type": "FOOTER", "text": "סלון אופרה לונדון" },
        { "type": "BUTTONS", "buttons": [
            { "type": "QUICK_REPLY", "text": "מאשרת" }, { "type": "QUICK_REPLY", "text": "צריכה לשנות" }] }
    ])
}

fn found(category: &str, components: &Value) -> Vec<String> {
    let all = problems(&Category::from(category), components).into_iter();
    all.map(|it| format!("{}: {}", it.field.unwrap_or_default(), it.reason)).collect()
}

#[track_caller]
fn refused(category: &str, components: Value, expected: &[&str]) {
    let found = found(category, &components);
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(is, should)| is.starts_with(should));
    assert!(fits, "{found:#?}\nshould be\n{expected:#?}");
}

fn body(text: &str, examples: Value) -> Value {
    json!([{ "type": "BODY", "text": text, "example": { "body_text": [examples] } }])
}

fn with_buttons(buttons: Value) -> Value {
    json!([{ "type": "BODY", "text": "Pick one" }, { "type": "BUTTONS", "buttons": buttons }])
}

#[test]
fn the_references_template_is_fine() {
    assert_eq!(found("UTILITY", &hebrew()), Vec::<String>::new());
}

#[test]
fn placeholders_stand_between_words_in_sequence_with_examples() {
    let text = "components[0].text: ";
    for (it, expected) in [
        ("{{1}} is your code, keep it", vec!["does not begin"]),
        ("Your code for today is {{1}}", vec!["does not end"]),
        ("Dear {{1}} {{2}} hello from all of us", vec!["has words between"]),
        ("Dear {{1}}, the order {{3}} is ready", vec!["has placeholders numbered"]),
        ("Dear {{1}, hello", vec!["has braces"]),
        ("Dear {{First Name}}, hello", vec!["`{{First Name}}` is no placeholder"]),
        ("a {{1}} b {{2}} c {{3}} d", vec!["has too few words"]),
        ("{{1}}{{2}}", vec!["does not begin", "does not end", "has words between", "has too few words"]),
    ] {
        let placeholders = placeholders::read(it).map(|found| placeholders::names(&found).len()).unwrap_or_default();
        let components = body(it, json!(vec!["x"; placeholders]));
        let expected: Vec<String> = expected.into_iter().map(|words| format!("{text}{words}")).collect();
        refused("UTILITY", components, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let missing = json!([{ "type": "BODY", "text": "Dear {{1}}, welcome back" }]);
    refused("UTILITY", missing, &["components[0].example.body_text: has one example for each of 1"]);
    refused("UTILITY", body("Dear {{1}}, welcome", json!(["a", "b"])), &["components[0].example.body_text"]);
    let named = json!([{ "type": "BODY", "text": "Dear {{name}}, order {{order_id}} is ready",
        "example": { "body_text_named_params": [{ "param_name": "name", "example": "Dana" }] } }]);
    refused("UTILITY", named, &["components[0].example.body_text_named_params: has no example of {{order_id}}"]);
    let mixed = json!([
        { "type": "HEADER", "format": "TEXT", "text": "For {{name}}",
          "example": { "header_text_named_params": [{ "param_name": "name", "example": "Dana" }] } },
        { "type": "BODY", "text": "Dear {{1}}, welcome", "example": { "body_text": [["Dana"]] } }
    ]);
    refused("UTILITY", mixed, &["components: placeholders are either all numbers or all words"]);
}

#[test]
fn lengths_are_counted_in_characters() {
    let at_most = json!([
        { "type": "HEADER", "format": "TEXT", "text": "ש".repeat(60) },
        { "type": "BODY", "text": "ש".repeat(1024) },
        { "type": "FOOTER", "text": "ש".repeat(60) },
        { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "ש".repeat(25) }] }
    ]);
    refused("UTILITY", at_most, &[]);
    let more = json!([
        { "type": "HEADER", "format": "TEXT", "text": "ש".repeat(61) },
        { "type": "BODY", "text": "ש".repeat(1025) },
        { "type": "FOOTER", "text": "ש".repeat(61) },
        { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "ש".repeat(26) }] }
    ]);
    let fields = ["components[0].text", "components[1].text", "components[2].text", "components[3].buttons[0].text"];
    refused("UTILITY", more, &fields);
}

#[test]
fn the_whole_has_each_component_once_and_a_body() {
    refused("UTILITY", json!("BODY"), &["components: is a list"]);
    refused("UTILITY", json!([]), &["components: is a list"]);
    let twice = json!([{ "type": "FOOTER", "text": "a" }, { "type": "footer", "text": "b" }, { "type": "SIDE" }]);
    let expected = ["components[1]: there is a FOOTER already", "components[2].type", "components: a BODY is missing"];
    refused("UTILITY", twice, &expected);
    let footer = json!([{ "type": "BODY", "text": "a" }, { "type": "FOOTER", "text": "hi {{1}} there" }]);
    refused("UTILITY", footer, &["components[1].text: has no placeholders"]);
}

#[test]
fn headers_have_one_placeholder_or_a_sample() {
    let with = |header: Value| json!([header, { "type": "BODY", "text": "hello" }]);
    let two = json!({ "type": "HEADER", "format": "TEXT", "text": "a {{1}} b {{2}}",
                      "example": { "header_text": ["x", "y"] } });
    refused("UTILITY", with(two), &["components[0].text: has at most one placeholder"]);
    let none = json!({ "type": "HEADER", "format": "TEXT", "text": "For {{1}}" });
    refused("UTILITY", with(none), &["components[0].example.header_text"]);
    refused("UTILITY", with(json!({ "type": "HEADER", "format": "SONG" })), &["components[0].format"]);
    for format in ["IMAGE", "VIDEO", "GIF", "DOCUMENT"] {
        let bare = json!({ "type": "HEADER", "format": format });
        refused("UTILITY", with(bare), &["components[0].example.header_handle"]);
        let handle = json!({ "type": "HEADER", "format": format, "example": { "header_handle": ["4::aW1hZ2U="] } });
        refused("UTILITY", with(handle), &[]);
    }
    let media = |kind: &str, data: &str| {
        with(json!({ "type": "HEADER", "format": "IMAGE",
                     "example": { "header_media": { "contentType": kind, "data": data } } }))
    };
    refused("UTILITY", media("image/png", "aGVsbG8="), &[]);
    let at = "components[0].example.header_media";
    refused("UTILITY", media("image/gif", "?"), &[&format!("{at}.contentType"), &format!("{at}.data")]);
    refused("UTILITY", with(json!({ "type": "HEADER", "format": "LOCATION" })), &[]);
}

#[test]
fn buttons_are_counted_measured_and_ordered() {
    let reply = |text: &str| json!({ "type": "QUICK_REPLY", "text": text });
    let url = |url: &str| json!({ "type": "URL", "text": "Open", "url": url, "example": ["https://x.example/1"] });
    let call = |number: &str| json!({ "type": "PHONE_NUMBER", "text": "Call", "phone_number": number });
    let fine = json!([reply("a"), reply("b"), url("https://x.example/{{1}}"), call("+972 50-123 4567")]);
    refused("UTILITY", with_buttons(fine), &[]);
    let at = "components[1].buttons";
    refused("UTILITY", with_buttons(json!([])), &[&format!("{at}: has 1 to 10")]);
    let eleven: Vec<Value> = (0..11).map(|n| reply(&n.to_string())).collect();
    refused(
        "UTILITY",
        with_buttons(json!(eleven)),
        &[&format!("{at}: has 1 to 10"), &format!("{at}: has at most 10 of QUICK_REPLY")],
    );
    let three = json!([url("https://a"), url("https://b"), url("https://c"), call("1"), call("2")]);
    let expected = [format!("{at}: has at most 2 of URL"), format!("{at}: has at most 1 of PHONE_NUMBER")];
    refused("UTILITY", with_buttons(three), &[&expected[0], &expected[1]]);
    let between = json!([reply("a"), call("1"), reply("b")]);
    refused("UTILITY", with_buttons(between), &[&format!("{at}: has its quick replies side by side")]);
    let after = json!([call("1"), reply("a"), reply("b")]);
    refused("UTILITY", with_buttons(after), &[]);
    let middle = json!([url("https://x.example/{{1}}/more"), url("ftp://x"), call("call me")]);
    let expected = [format!("{at}[0].url"), format!("{at}[1].url"), format!("{at}[2].phone_number")];
    refused("UTILITY", with_buttons(middle), &[&expected[0], &expected[1], &expected[2]]);
    let codes = json!([{ "type": "COPY_CODE", "example": "SUMMER-2026-SALE" }, { "type": "OTP" }, { "type": "BELL" }]);
    let expected = [format!("{at}[0].example"), format!("{at}[1].type: OTP is"), format!("{at}[2].type: is one of")];
    refused("UTILITY", with_buttons(codes), &[&expected[0], &expected[1], &expected[2]]);
    let bare = json!([{ "type": "URL", "text": "Go", "url": "https://x.example/{{1}}" }]);
    refused("UTILITY", with_buttons(bare), &[&format!("{at}[0].example")]);
}

#[test]
fn codes_have_metas_words_and_one_button() {
    let otp = |button: Value| {
        json!([{ "type": "BODY", "add_security_recommendation": true }, { "type": "FOOTER", "code_expiration_minutes": 10 },
               { "type": "BUTTONS", "buttons": [button] }])
    };
    refused("AUTHENTICATION", otp(json!({ "type": "OTP", "otp_type": "COPY_CODE", "text": "Copy" })), &[]);
    let app = json!({ "package_name": "com.example", "signature_hash": "K8a/AINcGX7" });
    let zero =
        json!({ "type": "OTP", "otp_type": "ZERO_TAP", "supported_apps": [app], "zero_tap_terms_accepted": true });
    refused("AUTHENTICATION", otp(zero), &[]);
    let bare = json!({ "type": "OTP", "otp_type": "ZERO_TAP" });
    let at = "components[2].buttons[0]";
    let expected = [format!("{at}.supported_apps"), format!("{at}.zero_tap_terms_accepted")];
    refused("AUTHENTICATION", otp(bare), &[&expected[0], &expected[1]]);
    let wrong = json!([
        { "type": "HEADER", "format": "IMAGE" },
        { "type": "BODY", "text": "Go to https://x.example 🎉 now" },
        { "type": "FOOTER", "code_expiration_minutes": 91 },
    ]);
    let expected = [
        "components[0]: an authentication template has no header",
        "components[1].text: has no address",
        "components[1].text: has no emoji",
        "components[2].code_expiration_minutes: is 1 to 90",
        "components: an authentication template has BUTTONS",
    ];
    refused("AUTHENTICATION", wrong, &expected);
}

#[test]
fn cards_and_offers_are_for_marketing() {
    let card = json!({ "components": [
        { "type": "HEADER", "format": "IMAGE", "example": { "header_handle": ["4::x"] } },
        { "type": "BODY", "text": "A plant" },
        { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "More" }] }] });
    let carousel =
        json!([{ "type": "BODY", "text": "Plants for sale" }, { "type": "CAROUSEL", "cards": [card, card] }]);
    refused("MARKETING", carousel.clone(), &[]);
    refused("UTILITY", carousel, &["components[1]: CAROUSEL is for MARKETING alone"]);
    let bare = json!({ "components": [{ "type": "BODY", "text": "x".repeat(161) }] });
    let one = json!([{ "type": "BODY", "text": "Plants" }, { "type": "CAROUSEL", "cards": [bare] },
                     { "type": "LIMITED_TIME_OFFER", "limited_time_offer": { "text": "x".repeat(17) } }]);
    let expected = [
        "components[1].cards: has 2 to 10",
        "components[1].cards[0].components: a card has a HEADER",
        "components[1].cards[0].components[0].text: has at most 160",
        "components[2].limited_time_offer.text: has at most 16",
    ];
    refused("MARKETING", one, &expected);
}

#[test]
fn everything_wrong_is_named_at_once() {
    let components = json!([
        { "type": "HEADER", "format": "TEXT", "text": "x".repeat(61) },
        { "type": "BODY", "text": "{{1}} and {{3}}" },
        { "type": "FOOTER", "text": "see {{1}}" },
        { "type": "BUTTONS", "buttons": [{ "type": "URL", "text": "" , "url": "x" }] }
    ]);
    assert_eq!(found("UTILITY", &components).len(), 9, "{:#?}", found("UTILITY", &components));
}

#[test]
fn what_a_customer_sees_is_compared_and_examples_are_not() {
    let told = json!([
        { "type": "HEADER", "format": "IMAGE", "example": { "header_handle": ["https://cdn.example/1?expires=5"] } },
        { "type": "BODY", "text": "hello" }
    ]);
    let ours = json!([
        { "type": "header", "format": "image", "example": { "header_handle": ["4::x"] } },
        { "type": "BODY", "text": "hello", "extra": null }
    ]);
    assert!(say_the_same(&told, &ours));
    assert!(!say_the_same(&told, &json!([{ "type": "BODY", "text": "hello" }])));
    let texts = Texts { body: Some("bye".into()), header: Some("New".into()), ..Texts::default() };
    let changed = with_texts(&json!([{ "type": "BODY", "text": "hello" }]), &texts);
    let expected = json!([{ "type": "BODY", "text": "bye" }, { "type": "HEADER", "text": "New", "format": "TEXT" }]);
    assert_eq!(changed, expected);
    assert_eq!(place_of(&changed, "HEADER"), "components[1]");
    assert_eq!(naming(&hebrew()), Naming::Positional);
}
