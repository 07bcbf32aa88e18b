//! What a recipient's number, or a template's name, makes the sandbox do.

use serde_json::{Value, json};

/// Errors the sandbox can play: Meta's code, the HTTP status it answers with, its message
/// (Meta, support/error-codes).
const ERRORS: &[(i64, u16, &str)] = &[
    (1, 500, "API Unknown"),
    (2, 503, "API Service"),
    (4, 429, "API Too Many Calls"),
    (10, 403, "Permission Denied"),
    (100, 400, "Invalid parameter"),
    (190, 401, "Access token has expired"),
    (200, 403, "API Permission"),
    (368, 403, "Temporarily blocked for policies violations"),
    (80_007, 429, "Rate limit issues"),
    (130_403, 400, "Business blocked the user"),
    (130_429, 429, "Rate limit hit"),
    (130_472, 400, "User's number is part of an experiment"),
    (131_000, 500, "Something went wrong"),
    (131_005, 403, "Access denied"),
    (131_008, 400, "Required parameter is missing"),
    (131_009, 400, "Parameter value is not valid"),
    (131_016, 503, "Service unavailable"),
    (131_021, 400, "Recipient cannot be sender"),
    (131_026, 400, "Message undeliverable"),
    (131_031, 403, "Account has been locked"),
    (131_037, 400, "Display name needs approval"),
    (131_042, 400, "Business eligibility payment issue"),
    (131_045, 500, "Incorrect certificate"),
    (131_047, 400, "Re-engagement message"),
    (131_048, 400, "Spam rate limit hit"),
    (131_049, 400, "Not delivered to maintain healthy ecosystem engagement"),
    (131_050, 400, "User stopped marketing messages"),
    (131_051, 400, "Unsupported message type"),
    (131_052, 400, "Media download error"),
    (131_053, 400, "Media upload error"),
    (131_056, 429, "Pair rate limit hit"),
    (131_057, 503, "Account in maintenance mode"),
    (132_000, 400, "Template param count mismatch"),
    (132_001, 404, "Template does not exist"),
    (132_005, 400, "Template hydrated text too long"),
    (132_007, 400, "Template format character policy violated"),
    (132_012, 400, "Template parameter format mismatch"),
    (132_015, 400, "Template is paused"),
    (132_016, 400, "Template is disabled"),
    (132_069, 400, "Flow is throttled"),
    (133_004, 503, "Server temporarily unavailable"),
    (133_010, 400, "Phone number not registered"),
    (135_000, 400, "Generic user error"),
];

/// How a customer's phone behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Takes the message, shows it, has it read.
    Normal,
    /// The request is refused with this code.
    Refuses(i64),
    /// The message is accepted and fails with this code.
    Fails(i64),
    /// The statuses come as read, delivered, sent.
    OutOfOrder,
    /// Every webhook comes twice.
    Twice,
    /// The message takes effect; the answer comes after a minute.
    Late,
    /// HTTP 500 that is not from Graph, and no effect.
    Broken,
}

/// The behaviour of a number, by its digits; see the module documentation of the sandbox.
pub(super) fn of_digits(digits: &str) -> Behaviour {
    if let Some(code) = digits.strip_prefix("15559").and_then(code_of) {
        return Behaviour::Refuses(code);
    }
    if let Some(code) = digits.strip_prefix("15569").and_then(code_of) {
        return Behaviour::Fails(code);
    }
    match digits.strip_prefix("1557").and_then(|rest| rest.get(rest.len().saturating_sub(4)..)) {
        Some("0001") => Behaviour::OutOfOrder,
        Some("0002") => Behaviour::Twice,
        Some("0003") => Behaviour::Late,
        Some("0004") => Behaviour::Broken,
        Some(_) | None => Behaviour::Normal,
    }
}

/// A template whose name ends in `_` and a known six-digit code is refused with it: `spring_132015`.
pub(super) fn of_template(name: &str) -> Option<i64> {
    code_of(name.rsplit_once('_')?.1)
}

/// Six digits that are a code of the table; shorter codes are filled up with zeros.
fn code_of(digits: &str) -> Option<i64> {
    digits.parse().ok().filter(|code| digits.len() == 6 && error(*code).is_some())
}

/// The HTTP status and the message of a code.
pub(super) fn error(code: i64) -> Option<(u16, &'static str)> {
    ERRORS.iter().find(|(known, _, _)| *known == code).map(|(_, status, message)| (*status, *message))
}

/// The rules for people: what `GET /sandbox` answers.
pub(super) fn help() -> Value {
    json!({
        "what": "A stand-in for Meta's WhatsApp Cloud API: no message leaves this machine.",
        "send": "POST graph/{version}/{phone_number_id}/messages, any bearer token but `expired`",
        "customerWrites": "POST customers/{phone}/messages?deliveries=1 with {phoneNumberId, text | buttonId+title | rowId+title | payload+title | type+media | raw, name}",
        "customerSees": "GET customers/{phone}/messages?phoneNumberId=",
        "customers": "GET customers",
        "googleVouches": "POST google/tokens with {sub, email, emailVerified, name}; POST google/keys makes a new key",
        "facebookVouches": "POST facebook/tokens with {sub, email, name}",
        "mailbox": "GET mailbox?to=dana@example.com: e-mail that was sent, the newest last",
        "window": "What is no template fails with 131047 unless the customer wrote to the line within 24 hours.",
        "numbers": {
            "+15559 and a six-digit code (+15559131056)": "the request is refused with that code",
            "+15569 and a six-digit code (+15569131026)": "accepted, then a failed status with that code",
            "+1557…0001": "statuses arrive as read, delivered, sent",
            "+1557…0002": "every webhook arrives twice",
            "+1557…0003": "takes effect, but the answer comes after 60 s",
            "+1557…0004": "HTTP 500 without effect",
        },
        "templateEdge": "GET, POST, DELETE graph/{version}/{waba_id}/message_templates; POST graph/{version}/{app}/uploads",
        "templateNews": "POST templates/{name} with {event, title, reason, explanation, recommendation | category | correctCategory | quality | bodyText | gone, language, wabaId, quiet, deliveries}",
        "templateElsewhere": "POST accounts/{waba_id}/templates with {name, language, category, status, components}",
        "templateQuota": "POST accounts/{waba_id}/usage with {percent}",
        "templatesThere": "GET templates",
        "templateRefusals": "submitting a name that ends in _ and a seven-digit code (spring_2388293) is refused with that code",
        "templates": "a name that ends in _ and a six-digit code (spring_132015) is refused with that code",
        "codes": ERRORS.iter().map(|(code, _, message)| json!({ "code": code, "message": message })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_choose_and_others_do_not() {
        assert_eq!(of_digits("15559131056"), Behaviour::Refuses(131_056));
        assert_eq!(of_digits("15559000190"), Behaviour::Refuses(190));
        assert_eq!(of_digits("15569131026"), Behaviour::Fails(131_026));
        assert_eq!(of_digits("15570000001"), Behaviour::OutOfOrder);
        assert_eq!(of_digits("15571230004"), Behaviour::Broken);
        for plain in ["15550000001", "15559123456", "1555913105", "1557", "972501234567", "", "US.1"] {
            assert_eq!(of_digits(plain), Behaviour::Normal, "{plain}");
        }
        assert_eq!(of_template("spring_132015"), Some(132_015));
        assert_eq!(of_template("order_ready_2"), None);
        assert_eq!(of_template("order"), None);
    }
}
