//! What comes around the operations: errors of one shape, headers, the document, the reference.

use poem::Request;

use super::*;

/// What the service answers without the rooms behind it: status, content type, `Allow`, body.
async fn answer(method: &str, path: &str, body: &'static str) -> (u16, String, String, String) {
    let request = Request::builder().method(method.parse().unwrap()).uri(path.parse().unwrap());
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
    assert_eq!((status, served), (200, openapi::document()));
    let (status, kind, _, page) = answer("GET", "/docs", "").await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    assert!(page.contains("replyToConversation") && page.contains("A text") && !page.contains("<script src="));
    assert_eq!(answer("GET", "/healthz", "").await.0, 200);
}
