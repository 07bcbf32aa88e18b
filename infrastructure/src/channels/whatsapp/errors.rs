//! Meta's error codes, classed (Meta, support/error-codes). Meta asks to build on `code` and `details`,
//! never on titles, subcodes or the HTTP status; the status helps only where the code is not in the table.

use domain::shared::provider_error::{ErrorClass, ProviderError};
use serde_json::Value;

use super::wire;

/// The pair limit: one message in six seconds from one line to one customer.
pub const PAIR_RATE: i64 = 131_056;
/// The customer service window is closed.
pub const WINDOW_CLOSED: i64 = 131_047;
/// "Invalid parameter": also what we say of a message that cannot even be put to Meta.
pub const INVALID_PARAMETER: i64 = 100;

/// What an error holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This message alone.
    Message,
    /// Messages from this line to this customer.
    Pair,
    /// Everything that goes out on the line.
    Line,
    /// This template, to whomever.
    Template,
}

/// The class of an error. `http_status` is the answer's, and absent for an error that came by webhook.
pub fn classify(code: i64, http_status: Option<u16>) -> ErrorClass {
    known(code).unwrap_or_else(|| by_status(http_status))
}

/// The table itself: classes A to F.
const fn known(code: i64) -> Option<ErrorClass> {
    Some(match code {
        // A: unknown, service, rate limits (app, account, line, pair), maintenance, template still syncing.
        1 | 2 | 4 | 80_007 | 130_429 | 131_000 | 131_016 | PAIR_RATE | 131_057 | 133_004 | 134_101 | 2_494_100 => {
            ErrorClass::Transient
        }
        // B: undeliverable, ourselves, blocked, no marketing wanted, experiment, kind unknown, not on a test line's list.
        131_026 | 131_021 | 130_403 | 131_050 | 130_472 | 131_051 | 131_030 => ErrorClass::Recipient,
        // C: window closed, marketing limit of the ecosystem.
        WINDOW_CLOSED | 131_049 => ErrorClass::RecipientConditional,
        // D: parameters, absence, text, policy, format, paused, disabled, marketing API only.
        132_000 | 132_001 | 132_005 | 132_007 | 132_012 | 132_015 | 132_016 | 132_018 | 131_063 | 131_055 | 134_100
        | 134_102 => ErrorClass::Template,
        // E: sign-in and permission, number deleted, policy, payment, registration, name, spam, payments terms.
        0
        | 3
        | 10
        | 190
        | 200..=299
        | 131_005
        | 33
        | 368
        | 130_497
        | 131_031
        | 131_042
        | 131_045
        | 133_010
        | 131_037
        | 131_048
        | 131_064
        | 134_011 => ErrorClass::Sender,
        // F: parameter wrong, missing or of a bad value, media, WhatsApp Flow blocked or throttled.
        INVALID_PARAMETER | 131_008 | 131_009 | 135_000 | 131_053 | 132_068 | 132_069 | 131_052 => ErrorClass::Request,
        _ => return None,
    })
}

const fn by_status(http_status: Option<u16>) -> ErrorClass {
    match http_status {
        Some(429 | 500..=599) => ErrorClass::Transient,
        Some(401 | 403) => ErrorClass::Sender,
        Some(_) | None => ErrorClass::Request,
    }
}

/// What an error holds up: class D its template, class E its line, throttles the line or the pair.
pub const fn scope(code: i64) -> Scope {
    match code {
        PAIR_RATE => Scope::Pair,
        4 | 80_007 | 130_429 | 131_057 | 133_004 | 2_494_100 => Scope::Line,
        _ => match known(code) {
            Some(ErrorClass::Template) => Scope::Template,
            Some(ErrorClass::Sender) => Scope::Line,
            Some(
                ErrorClass::Transient | ErrorClass::Recipient | ErrorClass::RecipientConditional | ErrorClass::Request,
            )
            | None => Scope::Message,
        },
    }
}

/// The error in the body of a Graph answer, whatever its HTTP status; none if the body holds none.
pub fn from_graph(body: &[u8], http_status: u16) -> Option<ProviderError> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error").filter(|error| error.is_object())?;
    let mut read = read(error, Some(http_status));
    if known(read.code).is_none() && wire::at(error, &["is_transient"]).and_then(Value::as_bool) == Some(true) {
        read.class = ErrorClass::Transient;
    }
    Some(read)
}

/// An element of an `errors` array of a webhook.
pub fn from_webhook(error: &Value) -> ProviderError {
    read(error, None)
}

/// What we say when a message could not even be put to Meta.
pub(super) fn unsendable(why: &str) -> ProviderError {
    ProviderError {
        code: INVALID_PARAMETER,
        class: ErrorClass::Request,
        title: "The message cannot be sent as it is".to_owned(),
        details: Some(why.to_owned()),
    }
}

/// An answer that is no Graph answer, by its status alone.
pub(super) fn of_status(http_status: u16) -> ProviderError {
    ProviderError {
        code: i64::from(http_status),
        class: by_status(Some(http_status)),
        title: format!("HTTP {http_status}"),
        details: None,
    }
}

fn read(error: &Value, http_status: Option<u16>) -> ProviderError {
    let code = wire::integer(error, &["code"]).unwrap_or_else(|| http_status.map_or(-1, i64::from));
    let message = wire::text(error, &["message"]);
    let title = wire::text(error, &["title"])
        .or_else(|| message.clone())
        .or_else(|| wire::text(error, &["error_user_title"]))
        .unwrap_or_else(|| format!("error {code}"));
    let details = wire::text(error, &["error_data", "details"])
        .or_else(|| wire::text(error, &["details"]))
        .or_else(|| wire::text(error, &["error_user_msg"]))
        .or_else(|| message.filter(|message| *message != title));
    ProviderError { code, class: classify(code, http_status), title, details }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codes_of_every_class() {
        let table = [
            (131_056, ErrorClass::Transient),
            (130_429, ErrorClass::Transient),
            (131_026, ErrorClass::Recipient),
            (131_047, ErrorClass::RecipientConditional),
            (132_001, ErrorClass::Template),
            (190, ErrorClass::Sender),
            (0, ErrorClass::Sender),
            (299, ErrorClass::Sender),
            (131_048, ErrorClass::Sender),
            (100, ErrorClass::Request),
        ];
        for (code, class) in table {
            assert_eq!(classify(code, Some(500)), class, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_classed_by_its_status() {
        for (status, class) in [
            (Some(503), ErrorClass::Transient),
            (Some(429), ErrorClass::Transient),
            (Some(401), ErrorClass::Sender),
            (Some(403), ErrorClass::Sender),
            (Some(404), ErrorClass::Request),
            (None, ErrorClass::Request),
        ] {
            assert_eq!(classify(987_654, status), class, "{status:?}");
        }
    }

    #[test]
    fn what_an_error_holds_up() {
        for (code, expected) in [
            (131_056, Scope::Pair),
            (130_429, Scope::Line),
            (4, Scope::Line),
            (80_007, Scope::Line),
            (131_042, Scope::Line),
            (132_015, Scope::Template),
            (131_026, Scope::Message),
            (131_000, Scope::Message),
            (987_654, Scope::Message),
        ] {
            assert_eq!(scope(code), expected, "{code}");
        }
    }

    #[test]
    fn a_graph_error_is_read_with_its_details() {
        let body = json!({"error": {"message": "(#131009) Parameter value is not valid", "type": "OAuthException",
            "code": 131_009, "error_data": {"messaging_product": "whatsapp", "details": "Title too long"}}});
        let error = from_graph(body.to_string().as_bytes(), 400).expect("an error");
        assert_eq!((error.code, error.class), (131_009, ErrorClass::Request));
        assert_eq!(error.details.as_deref(), Some("Title too long"));

        let transient = json!({"error": {"message": "later", "code": 999_999, "is_transient": true}});
        assert_eq!(from_graph(transient.to_string().as_bytes(), 400).map(|e| e.class), Some(ErrorClass::Transient));
        assert_eq!(from_graph(b"<html>", 502), None);
        assert_eq!(from_graph(b"{\"messages\":[]}", 200), None);
    }
}
