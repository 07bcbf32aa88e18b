//! What the document promises: descriptions, statuses, schemes, and examples that fit their schemas.

use std::collections::HashSet;

use super::*;

/// Every operation: `(method, path, operation)`.
fn all(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let listed = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    listed.collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut ids = HashSet::new();
    for (method, path, operation) in all(&document) {
        let at = format!("{method} {path}");
        assert!(path.starts_with("/api/") && !path.contains(':'), "{at}");
        assert!(text(&operation, "summary").len() > 3 && text(&operation, "description").len() > 20, "{at}");
        assert!(ids.insert(text(&operation, "operationId").to_owned()) && !ids.contains(""), "{at}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}");
        let statuses: Vec<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(statuses.iter().any(|status| status.starts_with('4')), "{at}: {statuses:?}");
        assert!(statuses.contains(&"500") && statuses.contains(&"503"), "{at}: {statuses:?}");
        assert_eq!(operation["requestBody"].is_object(), statuses.contains(&"413"), "{at}: {statuses:?}");
        let guarded = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        let public = [
            "login",
            "socialLogin",
            "createApiToken",
            "verifyWhatsappWebhook",
            "register",
            "sendVerification",
            "verifyCode",
        ];
        let public = public.contains(&text(&operation, "operationId"));
        assert_eq!(guarded, !public, "{at}");
        assert_eq!(text(&operation["x-access"], "rule") == "public", public, "{at}");
    }
    let tags: HashSet<&str> = document["tags"].as_array().unwrap().iter().map(|tag| text(tag, "name")).collect();
    assert_eq!(tags.len(), 10);
    assert!(document["tags"].as_array().unwrap().iter().all(|tag| text(tag, "description").len() > 10));
}

#[test]
fn every_change_may_be_sent_again_or_says_nothing_of_it() {
    let mut without = Vec::new();
    let paths = KnownPaths::of(&described());
    for (method, path, operation) in all(&described()) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let takes = parameters.filter(|it| it["name"] == "Idempotency-Key").count();
        if method == "get" || takes == 0 {
            assert_eq!(takes, 0, "{method} {path}");
            without.extend((method != "get").then(|| text(&operation, "operationId").to_owned()));
            continue;
        }
        let guard = paths.guard(&method.to_uppercase().parse().unwrap(), &path.replace(['{', '}'], ""));
        let need = crate::security::may::need(text(&operation["x-access"], "rule"));
        assert!(guard.is_some_and(|it| Some(it.need) == need), "{method} {path} would answer again without asking who");
        let refused = text(&operation["responses"]["409"], "description").to_owned();
        assert!(takes == 1 && refused.contains("idempotency_in_progress"), "{method} {path}");
        assert!(operation["responses"]["400"]["content"].is_object(), "{method} {path}");
    }
    without.sort_unstable();
    let signing_in = ["createApiToken", "endOtherSessions", "endSession", "login", "logout", "socialLogin"];
    let signing_up = ["register", "saveLanguage", "saveTheme", "sendVerification", "verifyCode"];
    let mut expected = [&signing_in[..], &signing_up, &["receiveWhatsappWebhook", "rotateApiKey"]].concat();
    expected.sort_unstable();
    assert_eq!(without, expected);
}

#[test]
fn limits_are_told_where_they_are_and_nowhere_else() {
    let mut limited = Vec::new();
    for (method, path, operation) in all(&described()) {
        let at = format!("{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        let is_limited = operation["x-rate-limit"].is_object();
        // Meta's allowance for templates is an account's own, and no header tells of it.
        let by_meta = ["submitTemplate", "deleteTemplate"].contains(&text(&operation, "operationId"));
        assert_eq!(responses.contains_key("429"), is_limited || by_meta, "{at}");
        for (status, response) in responses {
            for field in crate::middleware::rate_limit::FIELDS {
                assert_eq!(response["headers"][field].is_object(), is_limited, "{at} {status}");
            }
        }
        if is_limited {
            assert!(text(&operation, "description").contains("**Limit:**"), "{at}");
            limited.push(text(&operation, "operationId").to_owned());
        }
    }
    for id in ["login", "createApiToken", "triggerOutboundFlow"] {
        assert!(limited.iter().any(|it| it == id), "{id}: {limited:?}");
    }
    assert!(!document().contains("\"limit:"), "the marks are taken away");
}

#[test]
fn every_way_to_prove_who_calls_is_described() {
    let document = described();
    let known: HashSet<&str> =
        document["components"]["securitySchemes"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["cookieAuth", "bearerAuth", "hubSignature", "flowApiKey", "flowBasic", "flowBearer", "flowSignature"];
    assert_eq!(known, HashSet::from(expected));
    for (_, path, operation) in all(&document) {
        for scheme in operation["security"].as_array().into_iter().flatten() {
            assert!(scheme.as_object().unwrap().keys().all(|name| known.contains(name.as_str())), "{path}");
        }
    }
}

#[test]
fn every_body_has_an_example_that_fits_its_schema() {
    let document = described();
    let mut used = HashSet::new();
    for (method, path, operation) in all(&document) {
        used.insert(text(&operation, "operationId").to_owned());
        let good = operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
        for (name, body) in good.chain([(&"request".to_owned(), &operation["requestBody"])]) {
            for (kind, media) in body["content"].as_object().into_iter().flatten() {
                let at = format!("{method} {path} {name} {kind}");
                let several = media["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
                let examples: Vec<&Value> = several.chain(media.get("example")).collect();
                assert!(!examples.is_empty(), "{at} has no example");
                examples.iter().for_each(|example| fits(&document, &media["schema"], example, &at));
            }
        }
    }
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap();
    for id in examples.as_object().unwrap().keys() {
        assert!(used.contains(id), "no operation `{id}`");
    }
}

/// Whether the example has the schema's members: all that are required, none that are unknown.
fn fits(document: &Value, schema: &Value, example: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, document.pointer(&reference[1..]).unwrap(), example, at);
    }
    if let Some(items) = schema.get("items") {
        return example.as_array().unwrap().iter().for_each(|it| fits(document, items, it, at));
    }
    let parts: Vec<&Value> = schema["allOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
    let parts = parts.into_iter().map(|part| match part["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => part,
    });
    let parts: Vec<&Value> = parts.collect();
    let known = |name: &str| parts.iter().find_map(|part| part["properties"].get(name));
    let Some(members) = example.as_object().filter(|_| parts.iter().any(|it| it["properties"].is_object())) else {
        return;
    };
    for (name, value) in members {
        let inner = known(name).unwrap_or_else(|| panic!("{at}: `{name}` is unknown"));
        if !value.is_null() {
            fits(document, inner, value, at);
        }
    }
    for required in parts.iter().flat_map(|part| part["required"].as_array().into_iter().flatten()) {
        assert!(members.contains_key(required.as_str().unwrap()), "{at}: {required} is missing");
    }
}

#[test]
fn headers_are_written_as_people_write_them() {
    let document = document();
    for name in HEADERS {
        assert!(document.contains(&format!("\"{name}\"")), "{name}");
        assert!(!document.contains(&format!("\"{}\"", name.to_uppercase())), "{name}");
    }
    assert!(!document.contains("application/json; charset"), "JSON has no charset");
    assert!(!document.contains("\"description\": \"\""), "something is not described");
}

/// What the service answers without the rooms behind it: status, content type, `Allow`, body.
async fn answer(method: &str, path: &str, body: &'static str) -> (u16, String, String, String) {
    let request = poem::Request::builder().method(method.parse().unwrap()).uri(path.parse().unwrap());
    let request = request.content_type("application/json").body(body);
    let response = layered(Route::new()).call(request).await.unwrap();
    assert!(response.header("x-request-id").is_some_and(|id| id.len() == 36));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
    let (kind, allow, status) = (header("content-type"), header("allow"), response.status().as_u16());
    (status, kind, allow, response.into_body().into_string().await.unwrap())
}

#[tokio::test]
async fn what_the_framework_refuses_has_our_shape() {
    for (method, path, status, allow, code) in [
        ("GET", "/nowhere", 404, "", "unknown_path"),
        ("GET", "/api/nowhere", 404, "", "unknown_path"),
        ("PATCH", "/api/flows", 405, "GET, HEAD, POST", "method_not_allowed"),
        ("POST", "/api/flows/7", 405, "GET, HEAD, PUT, DELETE", "method_not_allowed"),
        ("POST", "/healthz", 405, "GET, HEAD", "method_not_allowed"),
        ("POST", "/api/auth/login", 500, "", "internal"),
    ] {
        let (shown, kind, methods, body) = answer(method, path, "{}").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((shown, methods.as_str(), &body["code"]), (status, allow, &json!(code)), "{method} {path}");
        assert!(kind.starts_with("application/json") && body["error"].is_string(), "{method} {path}");
    }
}

#[tokio::test]
async fn the_document_and_its_pages_come_along() {
    let (status, _, _, served) = answer("GET", "/openapi.json", "").await;
    assert_eq!((status, served), (200, document()));
    let (status, kind, _, page) = answer("GET", "/docs", "").await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    assert!(page.contains("replyToConversation") && page.contains("A text") && !page.contains("<script src="));
    assert_eq!(answer("GET", "/healthz", "").await.0, 200);
}
