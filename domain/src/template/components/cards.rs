//! What MARKETING alone may have: cards to swipe through, and an offer that ends (Meta, templates/marketing-templates).

use serde_json::Value;

use crate::reason;
use crate::template::components::{Report, buttons, kind, texts};

/// Cards of a carousel.
const CARDS: std::ops::RangeInclusive<usize> = 2..=10;
/// Characters of a card's body at most.
const CARD_BODY_CHARS_MAX: usize = 160;
/// Buttons of a card at most.
const CARD_BUTTONS_MAX: usize = 2;
/// Characters of an offer's text at most.
const OFFER_CHARS_MAX: usize = 16;

/// The cards.
pub fn check(carousel: &Value, field: &str, report: &mut Report) {
    let at = format!("{field}.cards");
    let cards = carousel["cards"].as_array().map_or(&[][..], Vec::as_slice);
    if !CARDS.contains(&cards.len()) {
        report
            .problem(&at, reason!("cards_between", "has {min} to {max} cards", min = CARDS.start(), max = CARDS.end()));
    }
    for (n, card) in cards.iter().enumerate() {
        let at = format!("{at}[{n}].components");
        let components = card["components"].as_array().map_or(&[][..], Vec::as_slice);
        if !components.iter().any(|component| kind(component) == "HEADER") {
            report.problem(&at, reason!("card_header", "a card has a HEADER with an image or a video"));
        }
        for (m, component) in components.iter().enumerate() {
            check_part(component, &format!("{at}[{m}]"), report);
        }
    }
}

fn check_part(component: &Value, field: &str, report: &mut Report) {
    match kind(component).as_str() {
        "HEADER" => {
            let format = component["format"].as_str().unwrap_or_default().to_uppercase();
            if matches!(format.as_str(), "IMAGE" | "VIDEO") {
                texts::check_media(component, &format, field, report);
            } else {
                report.problem(format!("{field}.format"), reason!("card_format", "is IMAGE or VIDEO on a card"));
            }
        }
        "BODY" => texts::check_body(component, field, CARD_BODY_CHARS_MAX, report),
        "BUTTONS" => {
            if component["buttons"].as_array().is_some_and(|all| all.len() > CARD_BUTTONS_MAX) {
                let reason = reason!("card_buttons", "has at most {max} on a card", max = CARD_BUTTONS_MAX);
                report.problem(format!("{field}.buttons"), reason);
            }
            buttons::check(component, field, report);
        }
        _ => {
            let reason = reason!("card_parts", "is HEADER, BODY or BUTTONS on a card");
            report.problem(format!("{field}.type"), reason);
        }
    }
}

/// The offer.
pub fn check_offer(component: &Value, field: &str, report: &mut Report) {
    let at = format!("{field}.limited_time_offer.text");
    match component["limited_time_offer"]["text"].as_str().filter(|text| !text.trim().is_empty()) {
        None => report.problem(at, reason!("required", "is required")),
        Some(text) if text.chars().count() > OFFER_CHARS_MAX => {
            report.problem(at, reason!("too_long", "has at most {max} characters", max = OFFER_CHARS_MAX));
        }
        Some(_) => {}
    }
}
