//! Templates for one-time codes: the words are Meta's, what is chosen are a warning, an expiry and a button (Meta,
//! templates/authentication-templates).

use serde_json::Value;

use crate::reason;
use crate::template::components::buttons::check_text;
use crate::template::components::{Report, kind, texts};

/// Minutes a code is good for.
const EXPIRY_MINUTES: std::ops::RangeInclusive<i64> = 1..=90;
/// Ways a code gets from the message into an app.
const OTP_TYPES: [&str; 3] = ["COPY_CODE", "ONE_TAP", "ZERO_TAP"];

/// The body has Meta's text. One of its own, on accounts that may, has no address and no emoji.
pub fn check_body(body: &Value, field: &str, report: &mut Report) {
    if body["text"].is_null() {
        return;
    }
    texts::check_body(body, field, texts::BODY_CHARS_MAX, report);
    check_plain(body, field, report);
}

/// The footer tells when the code expires.
pub fn check_footer(footer: &Value, field: &str, report: &mut Report) {
    let minutes = &footer["code_expiration_minutes"];
    if !minutes.is_null() && !minutes.as_i64().is_some_and(|minutes| EXPIRY_MINUTES.contains(&minutes)) {
        let (min, max) = (EXPIRY_MINUTES.start(), EXPIRY_MINUTES.end());
        report.problem(
            format!("{field}.code_expiration_minutes"),
            reason!("number_between", "is {min} to {max}", min, max),
        );
    }
    if minutes.is_null() && footer["text"].is_null() {
        report.problem(format!("{field}.code_expiration_minutes"), reason!("required", "is required"));
    }
    if !footer["text"].is_null() {
        texts::check_footer(footer, field, report);
        check_plain(footer, field, report);
    }
}

/// One button, for the code.
pub fn check_buttons(component: &Value, field: &str, report: &mut Report) {
    let at = format!("{field}.buttons");
    let buttons = component["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    if buttons.len() != 1 {
        report.problem(&at, reason!("one_button_of_codes", "an authentication template has exactly one button"));
    }
    for (n, button) in buttons.iter().enumerate() {
        let at = format!("{at}[{n}]");
        if kind(button) != "OTP" {
            report.problem(format!("{at}.type"), reason!("button_of_codes", "is OTP in an authentication template"));
            continue;
        }
        check_otp(button, &at, report);
    }
}

fn check_otp(button: &Value, at: &str, report: &mut Report) {
    let way = button["otp_type"].as_str().unwrap_or_default().to_uppercase();
    if !OTP_TYPES.contains(&way.as_str()) {
        report.problem(
            format!("{at}.otp_type"),
            reason!("one_of", "is one of {allowed}", allowed = OTP_TYPES.join(", ")),
        );
    }
    for text in ["text", "autofill_text"] {
        if !button[text].is_null() {
            check_text(&button[text], at, report);
        }
    }
    if !matches!(way.as_str(), "ONE_TAP" | "ZERO_TAP") {
        return;
    }
    let whole = |app: &Value| ["package_name", "signature_hash"].iter().all(|name| app[*name].is_string());
    let apps = button["supported_apps"].as_array().map_or(&[][..], Vec::as_slice);
    // Before there could be several, the one app stood beside the button's other fields.
    if !whole(button) && (apps.is_empty() || !apps.iter().all(whole)) {
        let reason = reason!("apps_named", "names each app by `package_name` and `signature_hash`");
        report.problem(format!("{at}.supported_apps"), reason);
    }
    if way == "ZERO_TAP" && button["zero_tap_terms_accepted"] != true {
        report.problem(format!("{at}.zero_tap_terms_accepted"), reason!("zero_tap_terms", "is true for ZERO_TAP"));
    }
}

/// What the whole must have.
pub fn check_whole(list: &[Value], report: &mut Report) {
    if !list.iter().any(|component| kind(component) == "BUTTONS") {
        let reason = reason!("buttons_of_codes", "an authentication template has BUTTONS with one OTP button");
        report.problem("components", reason);
    }
}

fn check_plain(component: &Value, field: &str, report: &mut Report) {
    let text = component["text"].as_str().unwrap_or_default();
    if text.contains("http://") || text.contains("https://") || text.contains("www.") {
        let reason = reason!("address_in_codes", "has no address in an authentication template");
        report.problem(format!("{field}.text"), reason);
    }
    if text.chars().any(is_emoji) {
        let reason = reason!("emoji_in_codes", "has no emoji in an authentication template");
        report.problem(format!("{field}.text"), reason);
    }
}

/// Symbols and pictographs (Unicode, the blocks emoji come from).
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x2600..=0x27BF | 0x1F000..=0x1FAFF | 0x2B00..=0x2BFF | 0xFE0F)
}
