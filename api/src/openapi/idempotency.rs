//! Says of every operation that takes an `Idempotency-Key` that it does, so that nobody can forget to.

use application::idempotency::KEY_MAX;
use poem::http::Method;
use serde_json::{Value, json};

use crate::middleware::idempotency::is_taken;
use crate::security::{BEARER_AUTH, COOKIE_AUTH};

const ABOUT: &str = "A key of your own for this request, such as a UUID. Sent again within 7 days with the same body, the \
    request is answered as it was the first time, with `Idempotency-Replayed: true`, and takes effect once. Who may not call \
    the operation any more is refused. Keys belong to the account that is signed in; without one the header counts for \
    nothing.";
const IN_VAIN: &str = " With an `Idempotency-Key`: `idempotency_in_progress` while the request runs (`Retry-After` says \
    when to ask again), `idempotency_key_reused` when the key belongs to another request, \
    `idempotency_outcome_unknown` when it took effect and the answer was lost, or was for rights you do not have now.";
const REPLAYED: &str = "`true` when this is the answer the request was given before; absent otherwise.";

/// Adds the header, what it can be answered, and the header of an answer that is given again.
pub(super) fn describe(method: &str, path: &str, operation: &mut Value) {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
    let schemes = operation["security"].as_array().into_iter().flatten();
    let by_session = schemes.into_iter().any(|it| it.get(COOKIE_AUTH).or(it.get(BEARER_AUTH)).is_some());
    if !by_session || !is_taken(&method, path) {
        return;
    }
    let header = json!({ "name": "Idempotency-Key", "in": "header", "required": false, "description": ABOUT,
        "schema": { "type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~]+$" } });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
    let responses = &mut operation["responses"];
    let unlike = responses["500"].clone();
    for (status, words) in [("400", "The request is wrong."), ("409", "It contradicts what is so by now.")] {
        if responses[status].is_null() {
            responses[status] = unlike.clone();
            responses[status]["description"] = Value::from(words);
        }
    }
    let conflict = responses["409"]["description"].as_str().unwrap_or_default().to_owned() + IN_VAIN;
    responses["409"]["description"] = Value::from(conflict);
    let good = responses.as_object_mut().into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
    for (_, response) in good {
        let replayed =
            json!({ "description": REPLAYED, "required": false, "deprecated": false, "schema": { "type": "boolean" } });
        response["headers"]["Idempotency-Replayed"] = replayed;
    }
}
