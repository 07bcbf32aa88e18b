//! Buttons: how many of which kind, in which order, and how long (Meta, templates/components).

use serde_json::Value;

use crate::reason;
use crate::template::components::{Report, kind};
use crate::template::placeholders;

/// Buttons at most.
pub const BUTTONS_MAX: usize = 10;
/// Characters of a button's text at most.
pub const TEXT_CHARS_MAX: usize = 25;
/// Characters of an address at most.
pub const URL_CHARS_MAX: usize = 2_000;
/// Digits of a phone number at most.
pub const PHONE_DIGITS_MAX: usize = 20;
/// Characters of a code that is copied at most.
pub const CODE_CHARS_MAX: usize = 15;

/// Kinds, with how many of each there may be.
const KINDS: [(&str, usize); 10] = [
    ("QUICK_REPLY", 10),
    ("URL", 2),
    ("PHONE_NUMBER", 1),
    ("COPY_CODE", 1),
    ("FLOW", 1),
    ("CATALOG", 1),
    ("MPM", 1),
    ("SPM", 1),
    ("VOICE_CALL", 1),
    ("REQUEST_CONTACT_INFO", 1),
];

/// The buttons of a template that is no authentication template.
pub fn check(component: &Value, field: &str, report: &mut Report) {
    let at = format!("{field}.buttons");
    let buttons = component["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    if buttons.is_empty() || buttons.len() > BUTTONS_MAX {
        report.problem(&at, reason!("buttons_between", "has 1 to {max} buttons", max = BUTTONS_MAX));
    }
    let kinds: Vec<String> = buttons.iter().map(kind).collect();
    for (allowed, most) in KINDS {
        if kinds.iter().filter(|it| *it == allowed).count() > most {
            report.problem(&at, reason!("buttons_of_kind", "has at most {max} of {kind}", max = most, kind = allowed));
        }
    }
    let replies: Vec<bool> = kinds.iter().map(|it| it == "QUICK_REPLY").collect();
    // Side by side means: quick replies begin or end at most once on the way.
    if replies.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1 {
        let reason = reason!("replies_apart", "has its quick replies side by side, before or after all others");
        report.problem(&at, reason);
    }
    for (n, (button, kind)) in buttons.iter().zip(&kinds).enumerate() {
        check_one(button, kind, &format!("{at}[{n}]"), report);
    }
}

fn check_one(button: &Value, kind: &str, at: &str, report: &mut Report) {
    if kind == "OTP" {
        report.problem(format!("{at}.type"), reason!("otp_alone", "OTP is for AUTHENTICATION alone"));
        return;
    }
    if !KINDS.iter().any(|(known, _)| *known == kind) {
        let known: Vec<&str> = KINDS.iter().map(|(known, _)| *known).collect();
        report.problem(format!("{at}.type"), reason!("one_of", "is one of {allowed}", allowed = known.join(", ")));
        return;
    }
    // What is copied has a text of Meta's own.
    if !matches!(kind, "COPY_CODE" | "REQUEST_CONTACT_INFO") {
        check_text(&button["text"], at, report);
    }
    match kind {
        "URL" => check_url(button, at, report),
        "PHONE_NUMBER" => check_phone(button, at, report),
        "COPY_CODE" => check_code(button, at, report),
        "FLOW" => {
            let named = ["flow_id", "flow_name", "flow_json"].iter().any(|name| !button[*name].is_null());
            if !named {
                let reason = reason!("flow_named", "is required, or `flow_name`, or `flow_json`");
                report.problem(format!("{at}.flow_id"), reason);
            }
        }
        _ => {}
    }
}

/// The text on a button.
pub fn check_text(text: &Value, at: &str, report: &mut Report) {
    let field = format!("{at}.text");
    match text.as_str().filter(|text| !text.trim().is_empty()) {
        None => report.problem(field, reason!("required", "is required")),
        Some(text) if text.chars().count() > TEXT_CHARS_MAX => {
            report.problem(field, reason!("too_long", "has at most {max} characters", max = TEXT_CHARS_MAX));
        }
        Some(text) if text.contains("{{") => report.problem(field, reason!("no_placeholders", "has no placeholders")),
        Some(_) => {}
    }
}

fn check_url(button: &Value, at: &str, report: &mut Report) {
    let field = format!("{at}.url");
    let url = button["url"].as_str().unwrap_or_default();
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        let reason = reason!("address_scheme", "is an address that begins with https:// or http://");
        report.problem(&field, reason);
    }
    if url.chars().count() > URL_CHARS_MAX {
        report.problem(&field, reason!("too_long", "has at most {max} characters", max = URL_CHARS_MAX));
    }
    match placeholders::read(url) {
        Err(_) => report.problem(&field, reason!("braces", "has braces without their counterpart")),
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            if found.len() > 1 || found.last().is_some_and(|it| it.end != url.len()) {
                let reason = reason!("address_placeholder", "has one placeholder at most, at its end");
                report.problem(&field, reason);
            }
            if example(button).is_none() {
                let reason = reason!("address_example", "is required: the address with its placeholder filled in");
                report.problem(format!("{at}.example"), reason);
            }
        }
    }
}

fn check_phone(button: &Value, at: &str, report: &mut Report) {
    let phone = button["phone_number"].as_str().unwrap_or_default();
    let digits = phone.strip_prefix('+').unwrap_or(phone);
    let digits: String = digits.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    if digits.is_empty() || digits.len() > PHONE_DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let reason = reason!("phone_digits", "is a number of at most {max} digits", max = PHONE_DIGITS_MAX);
        report.problem(format!("{at}.phone_number"), reason);
    }
}

fn check_code(button: &Value, at: &str, report: &mut Report) {
    let field = format!("{at}.example");
    match example(button) {
        None => report.problem(field, reason!("code_example", "is required: a code as customers get it")),
        Some(code) if code.chars().count() > CODE_CHARS_MAX => {
            report.problem(field, reason!("too_long", "has at most {max} characters", max = CODE_CHARS_MAX));
        }
        Some(_) => {}
    }
}

/// An example, which some write as a list of one.
fn example(button: &Value) -> Option<&str> {
    let example = &button["example"];
    let text = example.as_str().or_else(|| example.as_array()?.first()?.as_str());
    text.filter(|text| !text.trim().is_empty())
}
