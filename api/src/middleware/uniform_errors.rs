//! Everything the framework refuses by itself, in the one shape errors leave in.

use std::sync::Arc;

use domain::flow::validation::Problem;
use domain::reason;
use domain::shared::reason::Reason;
use poem::http::{StatusCode, Uri, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParseRequestPayloadError};

use crate::error::ApiError;
use crate::middleware::known_paths::KnownPaths;

/// The middleware.
pub struct UniformErrors(pub Arc<KnownPaths>);

/// The middleware around an endpoint.
pub struct Uniform<E> {
    inner: E,
    paths: Arc<KnownPaths>,
}

impl<E: Endpoint> Middleware<E> for UniformErrors {
    type Output = Uniform<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Uniform { inner, paths: self.0.clone() }
    }
}

impl<E: Endpoint> Endpoint for Uniform<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if has_null(request.uri()) {
            let words = "the address contains the null character, which no text may contain";
            return Ok(ApiError::invalid("invalid_request", words).into_response());
        }
        let path = request.uri().path().to_owned();
        match self.inner.call(request).await {
            Ok(response) => Ok(response.into_response()),
            Err(error) if error.is_from_response() => Ok(error.into_response()),
            Err(error) => {
                let operation = error.data::<OperationId>().copied();
                let mut response = self.explain(&error, &path).into_response();
                if let Some(operation) = operation {
                    response.set_data(operation);
                }
                Ok(response)
            }
        }
    }
}

fn has_null(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|address| address.as_str().contains("%00"))
}

impl<E> Uniform<E> {
    fn explain(&self, error: &poem::Error, path: &str) -> ApiError {
        if let Some(wrong) = error.downcast_ref::<ParseParamError>() {
            let reason = bound(&wrong.reason);
            let words = format!("parameter `{}`: {reason}", wrong.name);
            let mut refusal = ApiError::invalid("invalid_request", words);
            refusal.body.problems = Some(vec![Problem::of_field(wrong.name, reason)]);
            return refusal;
        }
        if let Some(wrong) = error.downcast_ref::<ParseRequestPayloadError>() {
            return ApiError::invalid("invalid_request", format!("body: {}", reworded(&wrong.reason)));
        }
        if error.is::<ContentTypeError>() {
            let words = "the body must be JSON: send `Content-Type: application/json`";
            return ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", words);
        }
        match error.status() {
            StatusCode::NOT_FOUND => ApiError::new(StatusCode::NOT_FOUND, "unknown_path", "there is no such path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                let words = "this path has no such method";
                ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words)
                    .with(header::ALLOW, self.paths.allow(path))
            }
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
            StatusCode::UNAUTHORIZED => ApiError::unauthorized("sign in, or send a Bearer token"),
            status if status.is_client_error() => ApiError::new(status, "invalid_request", error.to_string()),
            status => {
                tracing::error!(%error, %status, "A request failed inside");
                ApiError::internal()
            }
        }
    }
}

/// A bound in words: `verification failed. maximum(200, exclusive: false)` is `must be at most 200`.
fn bound(reason: &str) -> Reason {
    let rule = reason.rsplit("verification failed. ").next().unwrap_or(reason).trim();
    let value = rule.split_once('(').map(|(_, rest)| rest.split([',', ')']).next().unwrap_or_default());
    match (rule.split('(').next(), value) {
        (Some("minimum"), Some(min)) => reason!("number_min", "must be at least {min}", min),
        (Some("maximum"), Some(max)) => reason!("number_max", "must be at most {max}", max),
        (Some("maxLength"), Some(max)) => reason!("too_long", "has at most {max} characters", max),
        _ => reason!("parameter_unreadable", "{error}", error = reworded(reason)),
    }
}

/// Without the name of the type it was read as.
fn reworded(reason: &str) -> &str {
    reason.split(" (occurred while parsing").next().unwrap_or(reason).trim()
}

#[cfg(test)]
mod tests {
    use poem::EndpointExt;
    use poem_openapi::param::Query;
    use poem_openapi::payload::Json;
    use poem_openapi::{Object, OpenApi, OpenApiService};
    use serde_json::Value;

    use super::*;

    #[derive(Object)]
    #[oai(deny_unknown_fields)]
    struct Named {
        name: String,
    }

    struct Greeter;

    #[OpenApi]
    impl Greeter {
        #[oai(path = "/greet", method = "post")]
        async fn greet(
            &self,
            #[oai(validator(maximum(value = "9")))] times: Query<u32>,
            body: crate::routes::body::Body<Named>,
        ) -> Json<String> {
            Json(body.name.repeat(*times as usize))
        }
    }

    async fn refusal(query: &str, kind: &str, body: &'static str) -> (u16, String) {
        let service = OpenApiService::new(Greeter, "greeter", "1");
        let endpoint = poem::Route::new().nest("/", service).with(UniformErrors(Arc::default()));
        let request =
            Request::builder().method(poem::http::Method::POST).uri(format!("/greet?{query}").parse().unwrap());
        let response = endpoint.call(request.content_type(kind).body(body)).await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.into_body().into_json().await.unwrap();
        (
            status,
            format!("{}: {}", body["code"].as_str().unwrap_or_default(), body["error"].as_str().unwrap_or_default()),
        )
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let good = "{\"name\": \"a\"}";
        for (query, kind, body, status, words) in [
            ("times=1", "application/json", "{", 400, "invalid_request: the body is not JSON: EOF"),
            ("times=1", "application/json", "{}", 400, "name: is required"),
            ("times=1", "application/json", "{\"name\": \"a\", \"colour\": 1}", 400, "colour: is no field"),
            ("times=1", "text/plain", good, 415, "unsupported_content_type"),
            ("times=x", "application/json", good, 400, "parameter `times`"),
            ("times=10", "application/json", good, 400, "parameter `times`: must be at most 9"),
        ] {
            let (shown, text) = refusal(query, kind, body).await;
            assert!(shown == status && text.contains(words) && !text.contains("occurred"), "{shown} {text}");
        }
    }
}
