//! Says of every operation whether it has a limit, as the operation's own argument says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::middleware::rate_limit::{FIELDS, Limit};

const ABOUT_FIELDS: [&str; 3] = [
    "How often the operation may be called in all (draft-ietf-httpapi-ratelimit-headers-06).",
    "How often it may be called from now on.",
    "Seconds until the whole allowance is there again, when nothing more is taken from it.",
];
const REFUSED: &str = "Too many requests; `Retry-After` says how many seconds to wait.";

/// Takes the mark out of the security schemes, and writes the limit down: `x-rate-limit` for programs, a sentence for
/// people, the 429, and the fields of every answer.
pub(super) fn describe(operation: &mut Value) {
    let Some(schemes) = operation.get_mut("security").and_then(Value::as_array_mut) else { return };
    let marked = |scheme: &Value| Limit::ALL.into_iter().find(|limit| scheme.get(limit.mark()).is_some());
    let limit = schemes.iter().find_map(marked);
    schemes.retain(|scheme| marked(scheme).is_none());
    if schemes.is_empty() {
        operation.as_object_mut().map(|members| members.remove("security"));
    }
    let Some(limit) = limit else { return };
    let rate = limit.promised();
    operation["x-rate-limit"] = json!({ "times": rate.times, "perSec": rate.per.as_secs(), "of": limit.whose() });
    let description = operation["description"].as_str().unwrap_or_default();
    let words = format!("**Limit:** {} in {} for one {}.", rate.times, stretch(rate.per), limit.whose());
    operation["description"] = Value::from(format!("{description}\n\n{words}"));
    let responses = &mut operation["responses"];
    responses["429"] = responses["500"].clone();
    responses["429"]["description"] = Value::from(REFUSED);
    responses["429"]["headers"]["Retry-After"] = header("Seconds until the next request is welcome.");
    for (_, response) in responses.as_object_mut().into_iter().flatten() {
        for (field, about) in FIELDS.into_iter().zip(ABOUT_FIELDS) {
            response["headers"][field] = header(about);
        }
    }
}

fn header(about: &str) -> Value {
    json!({ "description": about, "required": false, "deprecated": false, "schema": { "type": "integer", "minimum": 0 } })
}

fn stretch(per: Duration) -> String {
    match per.as_secs() {
        60 => "a minute".to_owned(),
        seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}
