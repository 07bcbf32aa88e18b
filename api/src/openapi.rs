//! The service as a whole, and the OpenAPI document of it: what the library derives, with our examples.

mod access;
mod idempotency;
mod limits;
mod nullable;

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::middleware::{CatchPanic, CookieJarManager};
use poem::web::{Html, Json};
use poem::{Endpoint, EndpointExt, Response, Route, endpoint, get, handler};
use poem_openapi::{OpenApiService, ServerObject};
use serde_json::{Value, json};

use crate::app::App;
use crate::middleware::body_limit::BodyLimit;
use crate::middleware::headers::secure;
use crate::middleware::idempotency::Idempotent;
use crate::middleware::known_paths::KnownPaths;
use crate::middleware::observe::Observe;
use crate::middleware::panics::AnswerPanic;
use crate::middleware::prolong::Prolong;
use crate::middleware::rate_limit::TellStanding;
use crate::middleware::translate::Translate;
use crate::middleware::uniform_errors::UniformErrors;
use crate::routes::ndjson::NDJSON;
use crate::routes::{Operations, operations};

/// What the document says of the whole.
const ABOUT: &str = "WhatsApp-first automation: flows talk to customers, people take over, every change is an event.\n\n\
    **Who calls.** Every operation with a lock takes the session cookie `wdf_token` or a Bearer token. Another \
    account's things are not found.\n\n\
    **Shapes.** JSON in camelCase; ids are UUIDs, times RFC 3339 with milliseconds and `Z`, phones E.164 with `+`. \
    Unknown fields are refused with a 400 that names them, except inside `data` and webhook payloads. Lists are plain \
    arrays; `limit` is 1 to 200, and `X-Next-Cursor` is the `cursor` of the next page.\n\n\
    **Sending again.** With an `Idempotency-Key`, a request that changes something may be sent again after a time-out: it \
    takes effect once, and is answered as it was the first time. Answers with a 401, \
    a 403, a 5xx or a `Retry-After` are not kept, so the same key may be tried again.\n\n\
    **Limits.** Operations with a limit tell in `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` how it \
    stands (draft-ietf-httpapi-ratelimit-headers-06); a 429 says in `Retry-After` when the next request is welcome.\n\n\
    **Errors.** `{\"error\": \"in words\", \"code\": \"stable_word\"}`, with `problems` where there are several: \
    `{\"nodeId\", \"field\", \"reason\": \"in words\", \"code\": \"stable_word\", \"values\"}`. The words \
    are in the language the person chose, else the one `Accept-Language` likes best, of `en`, `he`, `ar` and `ru`; \
    `Content-Language` names it, and the code is the same in all. Every \
    answer has an `X-Request-Id`; send a UUID of your own to choose it.";

/// Real requests and answers, by operation.
const EXAMPLES: &str = include_str!("openapi/examples.json");

/// Headers as people write them; the library shouts them.
const HEADERS: [&str; 6] =
    ["Projection-Lag", "X-Next-Cursor", "Link", "X-Total-Count", "X-Status-Counts", "Set-Cookie"];

/// The operations as the library serves and describes them.
fn service() -> OpenApiService<Operations, ()> {
    OpenApiService::new(operations(), "FlowBot", env!("CARGO_PKG_VERSION"))
        .description(ABOUT)
        .server(ServerObject::new("/").description("This installation"))
        .url_prefix("/api")
}

/// The document, as indented JSON. Needs no database.
pub fn document() -> String {
    format!("{:#}", described())
}

/// The whole API: the operations, their document, the reference at `/docs`, and whatever `beside` adds.
pub fn routes(app: Arc<App>, beside: Route) -> impl Endpoint<Output = Response> {
    layered(beside).data(app)
}

/// Everything but the rooms behind it.
fn layered(beside: Route) -> impl Endpoint<Output = Response> {
    let paths = Arc::new(KnownPaths::of(&described()));
    let (document, page) = pages();
    let document =
        endpoint::make_sync(move |_| Response::builder().content_type("application/json").body(document.clone()));
    let page = endpoint::make_sync(move |_| Html(page.clone()));
    beside
        .nest("/api", service())
        .at("/openapi.json", get(document))
        .at("/docs", get(page))
        .at("/healthz", get(alive))
        .with(BodyLimit)
        .with(CatchPanic::new().with_handler(AnswerPanic))
        .with(UniformErrors(Arc::clone(&paths)))
        .with(TellStanding)
        .with(Idempotent(paths))
        .with(Translate)
        .with(Prolong)
        .with(CookieJarManager::new())
        .map(|response| async move { secure(response) })
        .with(Observe)
}

#[handler]
fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The document as it is served, and the page a person reads it on: Swagger UI, which loads nothing from outside.
fn pages() -> (String, String) {
    let document = document();
    let page = service().swagger_ui_html().replace(&service().spec(), &document.replace("</", "<\\/"));
    (document, page)
}

/// The library's document with our examples, and headers as people write them.
fn described() -> Value {
    let mut document: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object_mut().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let example = operation["operationId"].as_str().and_then(|id| examples.get(id)).cloned().unwrap_or_default();
        show_examples(&mut operation["requestBody"], &example["request"]);
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            rename_headers(response);
            let good = status.starts_with('2');
            show_examples(response, if good { &example["response"] } else { &Value::Null });
            if response["description"] == "" {
                response["description"] = Value::from("Success.");
            }
        }
        if operation["requestBody"].is_null() {
            operation.as_object_mut().map(|members| members.remove("requestBody"));
        }
        limits::describe(operation);
        access::describe(operation);
        idempotency::describe(method, path, operation);
    }
    finish_schemas(&mut document);
    document
}

/// Says of every schema that only requests use that it takes no other fields, and of those that answers show what may
/// be missing.
fn finish_schemas(document: &mut Value) {
    let operations = document["paths"].as_object().into_iter().flatten().flat_map(|(_, item)| item.as_object());
    let operations: Vec<&Value> = operations.flatten().map(|(_, operation)| operation).collect();
    let named = |part: &str| operations.iter().flat_map(|it| references(document, &it[part])).collect::<BTreeSet<_>>();
    let (asked, shown) = (named("requestBody"), named("responses"));
    for name in asked.difference(&shown) {
        let schema = &mut document["components"]["schemas"][name];
        if schema["properties"].is_object() {
            schema["additionalProperties"] = Value::Bool(false);
        }
    }
    nullable::describe(document, &shown);
}

/// The names of the schemas a part of the document leads to.
fn references(document: &Value, part: &Value) -> Vec<String> {
    match part {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(reference)) => {
                    let inner = document.pointer(reference.trim_start_matches('#')).map(|it| references(document, it));
                    let own = reference.rsplit('/').next().map(str::to_owned);
                    own.into_iter().chain(inner.into_iter().flatten()).collect()
                }
                _ => references(document, value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| references(document, item)).collect(),
        _ => Vec::new(),
    }
}

/// Puts an example beside every schema, and drops the charset JSON does not have (RFC 8259).
fn show_examples(body: &mut Value, example: &Value) {
    let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) else { return };
    if let Some(json) = content.remove("application/json; charset=utf-8") {
        content.insert("application/json".to_owned(), json);
    }
    for (kind, media) in content.iter_mut().filter(|_| !example.is_null()) {
        // A line is one of what the array has.
        let example = if kind == NDJSON { &example[0] } else { example };
        let several = example.get("examples").cloned();
        match several {
            Some(examples) => media["examples"] = examples,
            None => media["example"] = example.clone(),
        }
    }
}

fn rename_headers(response: &mut Value) {
    let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else { return };
    for name in HEADERS {
        if let Some(header) = headers.remove(&name.to_uppercase()) {
            headers.insert(name.to_owned(), header);
        }
    }
}

#[cfg(test)]
mod tests;
